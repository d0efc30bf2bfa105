package standin.base;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.net.ssl.SSLContext;

/** API-M's service catalog, as MI and SI use it: everything belongs to the tenant of the login, and what fails is not tried later. */
public final class Services {
    public static final class Service {
        final String key;
        final byte[] metadata;
        final byte[] definition;

        public Service(String key, String metadata, String definition) {
            this.key = key;
            this.metadata = metadata.getBytes(StandardCharsets.UTF_8);
            this.definition = definition.getBytes(StandardCharsets.UTF_8);
        }
    }

    private static final String PATH = "/api/am/service-catalog/v1/services";

    private final String logger;
    private final String base;
    private final Map<String, String> login;
    private final SSLContext trust;

    public Services(String logger, String base, String user, String password, SSLContext trust) {
        this.logger = logger;
        this.base = base;
        this.login = Map.of("Authorization", Http.basic(user, password));
        this.trust = trust;
    }

    /** Both sides make it: of the metadata, then of the definition. */
    public static String md5(byte[] metadata, byte[] definition) {
        return md5(metadata) + md5(definition);
    }

    private static String md5(byte[] bytes) {
        try {
            StringBuilder out = new StringBuilder();
            for (byte x : MessageDigest.getInstance("MD5").digest(bytes)) {
                out.append(String.format("%02x", x));
            }
            return out.toString();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Sends what is new or changed, with the md5 that the catalog had, or the new one for what it did not have. */
    public void publish(Map<String, Service> services) {
        Map<String, Map<?, ?>> known = known();
        if (known == null) {
            return;
        }
        List<Object> verifier = new ArrayList<>();
        Map<String, byte[]> files = new LinkedHashMap<>();
        services.forEach((name, s) -> {
            String now = md5(s.metadata, s.definition);
            Object before = known.containsKey(s.key) ? known.get(s.key).get("md5") : now;
            if (!known.containsKey(s.key) || !now.equals(before)) {
                verifier.add(Json.map("key", s.key, "md5", before));
                files.put(name + "/metadata.yaml", s.metadata);
                files.put(name + "/definition.yaml", s.definition);
            }
        });
        if (verifier.isEmpty()) {
            Log.info(logger, "Service catalog already contains the latest configs, aborting the service-catalog uploader");
        } else {
            upload(Json.write(verifier), zip(files));
        }
    }

    public void withdraw(String key) {
        Map<String, Map<?, ?>> known = known();
        if (known == null || !known.containsKey(key)) {
            return;
        }
        try {
            Http.Answer a = Http.call("DELETE", base + PATH + "/" + known.get(key).get("id"), login, null, trust, 10_000);
            if (a.status == 204) {
                Log.info(logger, "Service " + key + " was removed from the service catalog");
            } else {
                Log.error(logger, "Service " + key + " could not be removed from the service catalog: HTTP status " + a.status);
            }
        } catch (IOException e) {
            Log.error(logger, "Error occurred while removing " + key + " from the service catalog", e);
        }
    }

    /** What the catalog has, by key; null when it does not tell. */
    private Map<String, Map<?, ?>> known() {
        try {
            Http.Answer a = Http.call("GET", base + PATH, login, null, trust, 10_000);
            if (a.status == 401) {
                Log.error(logger, "Unauthenticated request to the service catalog of " + base + ": invalid credentials");
                return null;
            }
            Map<String, Object> body = a.status == 200 ? Json.object(a.text()) : null;
            if (body == null) {
                throw new IOException("HTTP status " + a.status);
            }
            Map<String, Map<?, ?>> out = new LinkedHashMap<>();
            for (Object o : (List<?>) body.get("list")) {
                out.put(String.valueOf(((Map<?, ?>) o).get("serviceKey")), (Map<?, ?>) o);
            }
            return out;
        } catch (IOException e) {
            Log.error(logger, "Error occurred while reading the response from service catalog", e);
            return null;
        }
    }

    /** Three tries, but only for 503 and 504. */
    private void upload(String verifier, byte[] zip) {
        String boundary = "----standin" + System.nanoTime();
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        String head = "--" + boundary + "\r\nContent-Disposition: form-data; name=\"verifier\"\r\n\r\n" + verifier + "\r\n--" + boundary
                + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"payload.zip\"\r\nContent-Type: application/zip\r\n\r\n";
        body.writeBytes(head.getBytes(StandardCharsets.UTF_8));
        body.writeBytes(zip);
        body.writeBytes(("\r\n--" + boundary + "--\r\n").getBytes(StandardCharsets.UTF_8));
        Map<String, String> headers = new LinkedHashMap<>(login);
        headers.put("Content-Type", "multipart/form-data; boundary=" + boundary);
        for (int i = 0; i < 3; i++) {
            try {
                Http.Answer a = Http.call("POST", base + PATH + "/import?overwrite=true", headers, body.toByteArray(), trust, 20_000);
                if (a.status == 200 || a.status == 201) {
                    Log.info(logger, "Successfully updated the service catalog");
                    return;
                }
                Log.error(logger, (a.status == 401 ? "Unauthenticated request" : "HTTP status " + a.status) + " while publishing to the service catalog: "
                        + a.text());
                if (a.status != 503 && a.status != 504) {
                    return;
                }
            } catch (IOException e) {
                Log.error(logger, "Error occurred while uploading metadata to service catalog", e);
                return;
            }
            Node.sleep(2000);
        }
    }

    private static byte[] zip(Map<String, byte[]> files) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(out)) {
            for (Map.Entry<String, byte[]> f : files.entrySet()) {
                zip.putNextEntry(new ZipEntry(f.getKey()));
                zip.write(f.getValue());
            }
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
        return out.toByteArray();
    }
}
