package standin.base;

import java.io.BufferedReader;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import javax.net.ssl.SSLContext;

/** A TCP connection that carries lines of text; the stand-in's form of AMQP, databridge and event sync. */
public final class Lines implements Closeable {
    public interface Served {
        void serve(Lines peer) throws IOException;
    }

    private final Socket socket;
    private final BufferedReader in;
    private final OutputStream out;

    private Lines(Socket socket) throws IOException {
        this.socket = socket;
        socket.setTcpNoDelay(true);
        in = new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
        out = socket.getOutputStream();
    }

    public static Lines connect(String host, int port, SSLContext tls, int timeout) throws IOException {
        Socket s = new Socket();
        try {
            s.connect(new InetSocketAddress(host, port), 5000);
            s.setSoTimeout(timeout);
            return new Lines(tls == null ? s : tls.getSocketFactory().createSocket(s, host, port, true));
        } catch (IOException e) {
            s.close();
            throw e;
        }
    }

    /** Listens; each peer gets a thread. Peers that stay silent for a minute are dropped. */
    public static ServerSocket listen(String host, int port, SSLContext tls, Served body) throws IOException {
        return accept(host, port, tls, socket -> {
            try (Lines peer = new Lines(socket)) {
                body.serve(peer);
            }
        });
    }

    interface Taken {
        void take(Socket socket) throws IOException;
    }

    /** Listens; each socket gets a thread, and is closed when that ends. */
    static ServerSocket accept(String host, int port, SSLContext tls, Taken body) throws IOException {
        ServerSocket server = tls == null ? new ServerSocket() : tls.getServerSocketFactory().createServerSocket();
        server.setReuseAddress(true);
        server.bind(host == null ? new InetSocketAddress(port) : new InetSocketAddress(host, port));
        Node.daemon("accept-" + port, () -> {
            while (!server.isClosed()) {
                try {
                    Socket s = server.accept();
                    s.setSoTimeout(60_000);
                    Node.daemon("peer-" + port, () -> {
                        try (Socket peer = s) {
                            body.take(peer);
                        } catch (IOException e) {
                            // The peer is gone; closing is all there is to do.
                        }
                    });
                } catch (SocketException e) {
                    if (server.isClosed()) {
                        return;
                    }
                } catch (IOException e) {
                    Node.sleep(100);
                }
            }
        });
        return server;
    }

    /** The next line; null at the end of the connection. */
    public String read() throws IOException {
        return in.readLine();
    }

    public void write(String line) throws IOException {
        synchronized (out) {
            out.write((line + "\n").getBytes(StandardCharsets.UTF_8));
            out.flush();
        }
    }

    /** Sends a line and reads the one that answers it. */
    public String ask(String line) throws IOException {
        write(line);
        String answer = read();
        if (answer == null) {
            throw new SocketException("Connection closed by the peer");
        }
        return answer;
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
