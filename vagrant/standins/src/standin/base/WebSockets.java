package standin.base;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;

/** Ports for WebSockets (RFC 6455), each of which says every text back with the node's name before it; plain HTTP is answered there too. */
public final class WebSockets {
    public interface Gate {
        /** Whether a WebSocket may be opened so; otherwise the call was answered. */
        boolean admits(Call call) throws Exception;
    }

    private static final int GOING_AWAY = 1001;
    private static final int PROTOCOL_ERROR = 1002;
    private static final int NOT_TAKEN = 1003;
    private static final int TOO_BIG = 1009;

    /** How often a silent socket looks whether the node stops. */
    private static final int LOOK_MILLIS = 100;
    private static final int FRAME_MILLIS = 60_000;
    /** How long the other side may take to close too. */
    private static final int CLOSE_MILLIS = 1000;
    private static final int GO_AWAY_MILLIS = 5000;

    private static final List<ServerSocket> LISTENERS = new ArrayList<>();
    private static final AtomicInteger OPEN = new AtomicInteger();
    private static volatile boolean goesAway;

    private WebSockets() {
    }

    public static void listen(int port, SSLContext tls, Web.Handler http, Gate gate) throws IOException {
        ServerSocket server = Lines.accept(null, port, tls, socket -> take(socket, http, gate));
        synchronized (LISTENERS) {
            LISTENERS.add(server);
        }
    }

    /** Takes no more of them; each answers the text that it has read, hears no other, and closes with 1001. Tells whether all have. */
    public static boolean goAway() throws IOException {
        synchronized (LISTENERS) {
            for (ServerSocket server : LISTENERS) {
                server.close();
            }
        }
        goesAway = true;
        long until = System.currentTimeMillis() + GO_AWAY_MILLIS;
        while (OPEN.get() > 0 && System.currentTimeMillis() < until) {
            Node.sleep(20);
        }
        return OPEN.get() == 0;
    }

    public static int open() {
        return OPEN.get();
    }

    private static void take(Socket socket, Web.Handler http, Gate gate) throws IOException {
        socket.setTcpNoDelay(true);
        InputStream in = new BufferedInputStream(socket.getInputStream());
        SocketExchange x = new SocketExchange(socket, in);
        long[] delay = {0};
        Web.serve(x, call -> {
            if (!call.method().equals("GET") || !"websocket".equalsIgnoreCase(call.header("Upgrade"))) {
                http.handle(call);
            } else if (gate.admits(call)) {
                delay[0] = Long.parseLong(call.query("delay_ms", "0"));
                shakeHands(call);
            }
        });
        if (x.getResponseCode() == 101) {
            try {
                new Conversation(socket, in, delay[0]).hold();
            } finally {
                OPEN.decrementAndGet();
            }
        }
    }

    private static void shakeHands(Call call) throws IOException, GeneralSecurityException {
        String key = call.header("Sec-WebSocket-Key");
        if (!"13".equals(call.header("Sec-WebSocket-Version"))) {
            call.set("Sec-WebSocket-Version", "13").text(426, "");
        } else if (key == null) {
            call.text(400, "");
        } else {
            // A stop that comes now must wait for it.
            OPEN.incrementAndGet();
            byte[] digest = MessageDigest.getInstance("SHA-1").digest((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").getBytes(StandardCharsets.US_ASCII));
            call.set("Upgrade", "websocket").set("Connection", "Upgrade").set("Sec-WebSocket-Accept", Base64.getEncoder().encodeToString(digest));
            call.send(101, null, new byte[0]);
        }
    }

    /** What the other side sent is closed with this code. */
    private static final class Refused extends IOException {
        final int code;

        Refused(int code, String why) {
            super(why);
            this.code = code;
        }
    }

    private static final class Frame {
        static final int CONTINUATION = 0x0;
        static final int TEXT = 0x1;
        static final int BINARY = 0x2;
        static final int CLOSE = 0x8;
        static final int PING = 0x9;
        static final int PONG = 0xa;
        /** A client's; longer ones are refused. */
        static final int LIMIT = 65_536;

        final int opcode;
        final byte[] payload;

        Frame(int opcode, byte[] payload) {
            this.opcode = opcode;
            this.payload = payload;
        }

        static Frame read(InputStream in) throws IOException {
            byte[] head = bytes(in, 2);
            int opcode = head[0] & 0x0f;
            if ((head[1] & 0x80) == 0) {
                throw new Refused(PROTOCOL_ERROR, "unmasked");
            }
            if ((head[0] & 0xf0) != 0x80 || opcode == CONTINUATION) {
                throw new Refused(PROTOCOL_ERROR, "a fragment or an extension");
            }
            long length = head[1] & 0x7f;
            if (opcode >= CLOSE && length > 125) {
                throw new Refused(PROTOCOL_ERROR, "a long control frame");
            }
            if (length >= 126) {
                length = number(bytes(in, length == 126 ? 2 : 8));
            }
            if (length < 0 || length > LIMIT) {
                throw new Refused(TOO_BIG, "over 64 KB");
            }
            byte[] mask = bytes(in, 4);
            byte[] payload = bytes(in, (int) length);
            for (int i = 0; i < payload.length; i++) {
                payload[i] ^= mask[i % 4];
            }
            return new Frame(opcode, payload);
        }

        /** A server's: in one piece and not masked. */
        byte[] bytes() {
            int n = payload.length;
            byte[] length = n < 126 ? new byte[] {(byte) n} : n < 65_536 ? new byte[] {126, (byte) (n >> 8), (byte) n}
                    : new byte[] {127, 0, 0, 0, 0, (byte) (n >> 24), (byte) (n >> 16), (byte) (n >> 8), (byte) n};
            return join(new byte[] {(byte) (0x80 | opcode)}, length, payload);
        }

        private static byte[] bytes(InputStream in, int n) throws IOException {
            byte[] b = in.readNBytes(n);
            if (b.length < n) {
                throw new EOFException();
            }
            return b;
        }

        private static long number(byte[] bytes) {
            long n = 0;
            for (byte b : bytes) {
                n = n << 8 | b & 0xff;
            }
            return n;
        }
    }

    /** One WebSocket. Its own thread alone reads and writes, so what it has read is answered before it closes. */
    private static final class Conversation {
        private final Socket socket;
        private final InputStream in;
        private final long delay;

        Conversation(Socket socket, InputStream in, long delay) {
            this.socket = socket;
            this.in = in;
            this.delay = delay;
        }

        void hold() throws IOException {
            try {
                Frame last = null;
                while (last == null && !goesAway) {
                    last = comes() ? answer(Frame.read(in)) : null;
                }
                say(last != null ? last : close(GOING_AWAY, "shutdown"));
                if (last == null) {
                    hearOut();
                }
            } catch (Refused e) {
                say(close(e.code, e.getMessage()));
                throwAway();
            }
        }

        /** Whether a frame begins, within a moment. */
        private boolean comes() throws IOException {
            in.mark(1);
            socket.setSoTimeout(LOOK_MILLIS);
            try {
                if (in.read() < 0) {
                    throw new EOFException();
                }
            } catch (SocketTimeoutException silence) {
                return false;
            } finally {
                socket.setSoTimeout(FRAME_MILLIS);
            }
            in.reset();
            return true;
        }

        /** The frame to close with, when the other side does; null while it goes on. */
        private Frame answer(Frame frame) throws IOException {
            switch (frame.opcode) {
                case Frame.TEXT:
                    Node.sleep(delay);
                    say(new Frame(Frame.TEXT, join((Node.name() + " ").getBytes(StandardCharsets.UTF_8), frame.payload)));
                    return null;
                case Frame.PING:
                    say(new Frame(Frame.PONG, frame.payload));
                    return null;
                case Frame.PONG:
                    return null;
                case Frame.CLOSE:
                    return new Frame(Frame.CLOSE, frame.payload);
                case Frame.BINARY:
                    throw new Refused(NOT_TAKEN, "text only");
                default:
                    throw new Refused(PROTOCOL_ERROR, "an unknown frame");
            }
        }

        private void say(Frame frame) throws IOException {
            socket.getOutputStream().write(frame.bytes());
        }

        private static Frame close(int code, String why) {
            return new Frame(Frame.CLOSE, join(new byte[] {(byte) (code >> 8), (byte) code}, why.getBytes(StandardCharsets.UTF_8)));
        }

        /** Waits for the other side's close frame. A socket that is closed over unread bytes is reset, and takes ours with it. */
        private void hearOut() throws IOException {
            socket.setSoTimeout(CLOSE_MILLIS);
            long until = System.currentTimeMillis() + CLOSE_MILLIS;
            int heard;
            try {
                do {
                    heard = Frame.read(in).opcode;
                } while (heard != Frame.CLOSE && System.currentTimeMillis() < until);
            } catch (SocketTimeoutException | EOFException | Refused e) {
                // It went without a word, or has other words.
            }
        }

        /** The same after a frame that was not read to its end. */
        private void throwAway() throws IOException {
            socket.setSoTimeout(CLOSE_MILLIS);
            long until = System.currentTimeMillis() + CLOSE_MILLIS;
            byte[] rest = new byte[8192];
            int heard;
            try {
                do {
                    heard = in.read(rest);
                } while (heard >= 0 && System.currentTimeMillis() < until);
            } catch (SocketTimeoutException e) {
                // It waits for us to close.
            }
        }
    }

    private static byte[] join(byte[]... parts) {
        int length = 0;
        for (byte[] p : parts) {
            length += p.length;
        }
        byte[] whole = new byte[length];
        int at = 0;
        for (byte[] p : parts) {
            System.arraycopy(p, 0, whole, at, p.length);
            at += p.length;
        }
        return whole;
    }
}
