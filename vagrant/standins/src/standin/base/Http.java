package standin.base;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;

/** HTTP calls that a node makes to others. */
public final class Http {
    static {
        System.setProperty("sun.net.http.allowRestrictedHeaders", "true");
    }

    public static final class Answer {
        public final int status;
        public final byte[] body;
        public final Map<String, String> headers = new LinkedHashMap<>();

        Answer(int status, byte[] body) {
            this.status = status;
            this.body = body;
        }

        public String text() {
            return new String(body, StandardCharsets.UTF_8);
        }
    }

    private Http() {
    }

    public static String basic(String user, String password) {
        return "Basic " + Base64.getEncoder().encodeToString((user + ":" + password).getBytes(StandardCharsets.UTF_8));
    }

    public static Answer call(String method, String url, Map<String, String> headers, byte[] body, SSLContext tls, int timeout)
            throws IOException {
        HttpURLConnection c = (HttpURLConnection) new URL(url).openConnection();
        if (c instanceof HttpsURLConnection) {
            if (tls != null) {
                ((HttpsURLConnection) c).setSSLSocketFactory(tls.getSocketFactory());
            }
            ((HttpsURLConnection) c).setHostnameVerifier((host, session) -> true);
        }
        c.setConnectTimeout(Math.min(timeout, 10_000));
        c.setReadTimeout(timeout);
        c.setInstanceFollowRedirects(false);
        c.setUseCaches(false);
        // HttpURLConnection knows no PATCH; the gateway has to pass it on.
        c.setRequestMethod("PATCH".equals(method) ? "POST" : method);
        if ("PATCH".equals(method)) {
            c.setRequestProperty("X-HTTP-Method-Override", "PATCH");
        }
        headers.forEach(c::setRequestProperty);
        if (body != null && body.length > 0) {
            c.setDoOutput(true);
            try (OutputStream out = c.getOutputStream()) {
                out.write(body);
            }
        }
        int status = c.getResponseCode();
        byte[] bytes;
        try (InputStream in = status >= 400 ? c.getErrorStream() : c.getInputStream()) {
            bytes = in == null ? new byte[0] : in.readAllBytes();
        }
        Answer answer = new Answer(status, bytes);
        c.getHeaderFields().forEach((k, v) -> {
            if (k != null) {
                answer.headers.put(k, v.get(v.size() - 1));
            }
        });
        return answer;
    }
}
