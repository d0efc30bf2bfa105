package standin.base;

import com.sun.net.httpserver.HttpExchange;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;

/** One HTTP request and its answer. */
public final class Call {
    private final HttpExchange x;
    private final long began = System.currentTimeMillis();
    private byte[] body;
    private boolean answered;

    Call(HttpExchange x) {
        this.x = x;
    }

    public String method() {
        return x.getRequestMethod();
    }

    public String path() {
        return x.getRequestURI().getPath();
    }

    public boolean is(String method, String path) {
        return method().equals(method) && path().equals(path);
    }

    public String rawQuery() {
        return x.getRequestURI().getRawQuery();
    }

    public String query(String name, String otherwise) {
        String v = form(rawQuery()).get(name);
        return v == null ? otherwise : v;
    }

    public Map<String, String> form() {
        return form(bodyText());
    }

    private static Map<String, String> form(String text) {
        Map<String, String> out = new LinkedHashMap<>();
        if (text != null) {
            for (String pair : text.split("&")) {
                int eq = pair.indexOf('=');
                if (eq > 0) {
                    out.put(decode(pair.substring(0, eq)), decode(pair.substring(eq + 1)));
                }
            }
        }
        return out;
    }

    private static String decode(String s) {
        return URLDecoder.decode(s, StandardCharsets.UTF_8);
    }

    public String header(String name) {
        return x.getRequestHeaders().getFirst(name);
    }

    public Map<String, java.util.List<String>> headers() {
        return x.getRequestHeaders();
    }

    public byte[] body() {
        if (body == null) {
            try {
                body = x.getRequestBody().readAllBytes();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        return body;
    }

    public String bodyText() {
        return new String(body(), StandardCharsets.UTF_8);
    }

    /** User and password of Basic authentication, or null. */
    public String[] basic() {
        String h = header("Authorization");
        if (h == null || !h.regionMatches(true, 0, "Basic ", 0, 6)) {
            return null;
        }
        try {
            String pair = new String(Base64.getDecoder().decode(h.substring(6).trim()), StandardCharsets.UTF_8);
            int colon = pair.indexOf(':');
            return colon < 0 ? null : new String[] {pair.substring(0, colon), pair.substring(colon + 1)};
        } catch (IllegalArgumentException e) {
            return null;
        }
    }

    public String bearer() {
        String h = header("Authorization");
        return h != null && h.regionMatches(true, 0, "Bearer ", 0, 7) ? h.substring(7).trim() : null;
    }

    public String cookie(String name) {
        String h = header("Cookie");
        if (h != null) {
            for (String c : h.split(";")) {
                if (c.trim().startsWith(name + "=")) {
                    return c.trim().substring(name.length() + 1);
                }
            }
        }
        return null;
    }

    /** The parts of a multipart/form-data body by field name. */
    public Map<String, byte[]> parts() {
        Map<String, byte[]> out = new LinkedHashMap<>();
        String type = header("Content-Type");
        if (type == null || !type.contains("boundary=")) {
            return out;
        }
        String boundary = type.substring(type.indexOf("boundary=") + 9).split(";")[0].trim().replace("\"", "");
        String all = new String(body(), StandardCharsets.ISO_8859_1);
        for (String part : all.split("(\r\n)?--" + java.util.regex.Pattern.quote(boundary))) {
            int head = part.indexOf("\r\n\r\n");
            java.util.regex.Matcher m = java.util.regex.Pattern.compile("[; ]name=\"?([^\";\r\n]+)").matcher(part);
            if (head > 0 && m.find() && m.start() < head) {
                out.put(m.group(1), part.substring(head + 4).getBytes(StandardCharsets.ISO_8859_1));
            }
        }
        return out;
    }

    public String client() {
        return x.getRemoteAddress().getAddress().getHostAddress();
    }

    public Call set(String header, String value) {
        x.getResponseHeaders().set(header, value);
        return this;
    }

    public void json(int status, Object value) throws IOException {
        send(status, "application/json", Json.write(value).getBytes(StandardCharsets.UTF_8));
    }

    public void text(int status, String text) throws IOException {
        send(status, "text/plain; charset=UTF-8", text.getBytes(StandardCharsets.UTF_8));
    }

    public void html(int status, String text) throws IOException {
        send(status, "text/html; charset=UTF-8", text.getBytes(StandardCharsets.UTF_8));
    }

    public void xml(int status, String text) throws IOException {
        send(status, "text/xml; charset=UTF-8", text.getBytes(StandardCharsets.UTF_8));
    }

    public void redirect(String where) throws IOException {
        set("Location", where).send(302, null, new byte[0]);
    }

    public void send(int status, String type, byte[] bytes) throws IOException {
        body();
        answered = true;
        set("X-Node", Node.name());
        if (type != null && !x.getResponseHeaders().containsKey("Content-Type")) {
            set("Content-Type", type);
        }
        boolean bare = "HEAD".equals(method()) || status == 204 || status == 304 || bytes.length == 0;
        x.sendResponseHeaders(status, bare ? -1 : bytes.length);
        if (!bare) {
            ByteArrayOutputStream whole = new ByteArrayOutputStream(bytes.length);
            whole.write(bytes);
            whole.writeTo(x.getResponseBody());
        }
        Log.accessed(client(), method() + " " + x.getRequestURI() + " HTTP/1.1", status, bytes.length, System.currentTimeMillis() - began);
    }

    boolean answered() {
        return answered;
    }
}
