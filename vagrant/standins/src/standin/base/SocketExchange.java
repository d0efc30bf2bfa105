package standin.base;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpContext;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpPrincipal;
import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;

/** One HTTP request on a socket of ours, for ports that go on in another protocol. No second request follows on that socket. */
final class SocketExchange extends HttpExchange {
    private static final int LINE_LIMIT = 65_536;

    private final Socket socket;
    private final OutputStream out;
    private final String method;
    private final URI uri;
    private final Headers asked = new Headers();
    private final Headers answered = new Headers();
    private final InputStream body;
    private int status = -1;

    /** Reads head and body; what comes after them is left in `in`. */
    SocketExchange(Socket socket, InputStream in) throws IOException {
        this.socket = socket;
        out = new BufferedOutputStream(socket.getOutputStream());
        String[] first = line(in).split(" ");
        try {
            method = first[0];
            uri = new URI(first[1]);
            for (String l = line(in); !l.isEmpty(); l = line(in)) {
                int colon = l.indexOf(':');
                asked.add(l.substring(0, colon), l.substring(colon + 1).trim());
            }
            body = new ByteArrayInputStream(body(in));
        } catch (URISyntaxException | RuntimeException e) {
            throw new IOException("not a request of HTTP", e);
        }
    }

    private byte[] body(InputStream in) throws IOException {
        if (asked.getFirst("Transfer-Encoding") == null) {
            String length = asked.getFirst("Content-Length");
            return in.readNBytes(length == null ? 0 : Integer.parseInt(length));
        }
        ByteArrayOutputStream whole = new ByteArrayOutputStream();
        for (int n = chunk(in); n > 0; n = chunk(in)) {
            whole.writeBytes(in.readNBytes(n));
            line(in);
        }
        String trailer;
        do {
            trailer = line(in);
        } while (!trailer.isEmpty());
        return whole.toByteArray();
    }

    private static int chunk(InputStream in) throws IOException {
        return Integer.parseInt(line(in).split(";")[0].trim(), 16);
    }

    private static String line(InputStream in) throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        for (int b = in.read(); b != '\n'; b = in.read()) {
            if (b < 0) {
                throw new EOFException();
            }
            if (line.size() == LINE_LIMIT) {
                throw new IOException("a line of the head is too long");
            }
            if (b != '\r') {
                line.write(b);
            }
        }
        return line.toString(StandardCharsets.ISO_8859_1);
    }

    @Override
    public void sendResponseHeaders(int code, long length) throws IOException {
        status = code;
        StringBuilder head = new StringBuilder("HTTP/1.1 " + code + " " + (code == 101 ? "Switching Protocols" : "") + "\r\n");
        if (code != 101) {
            answered.set("Connection", "close");
            if (length >= 0 || !method.equals("HEAD") && code != 204 && code != 304) {
                answered.set("Content-Length", String.valueOf(Math.max(length, 0)));
            }
        }
        answered.forEach((name, values) -> values.forEach(v -> head.append(name).append(": ").append(v).append("\r\n")));
        out.write(head.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1));
        out.flush();
    }

    /** The socket is closed by its owner, who may have more to say. */
    @Override
    public void close() {
        try {
            out.flush();
        } catch (IOException gone) {
            Log.warn("org.wso2.standin.Web", "The client has gone: " + gone.getMessage());
        }
    }

    @Override
    public String getRequestMethod() {
        return method;
    }

    @Override
    public URI getRequestURI() {
        return uri;
    }

    @Override
    public Headers getRequestHeaders() {
        return asked;
    }

    @Override
    public InputStream getRequestBody() {
        return body;
    }

    @Override
    public Headers getResponseHeaders() {
        return answered;
    }

    @Override
    public OutputStream getResponseBody() {
        return out;
    }

    @Override
    public int getResponseCode() {
        return status;
    }

    @Override
    public InetSocketAddress getRemoteAddress() {
        return (InetSocketAddress) socket.getRemoteSocketAddress();
    }

    @Override
    public InetSocketAddress getLocalAddress() {
        return (InetSocketAddress) socket.getLocalSocketAddress();
    }

    @Override
    public String getProtocol() {
        return "HTTP/1.1";
    }

    // ---- what nobody here asks for -----------------------------------------------------------------------------------

    @Override
    public HttpContext getHttpContext() {
        return null;
    }

    @Override
    public Object getAttribute(String name) {
        return null;
    }

    @Override
    public void setAttribute(String name, Object value) {
    }

    @Override
    public void setStreams(InputStream in, OutputStream out) {
    }

    @Override
    public HttpPrincipal getPrincipal() {
        return null;
    }
}
