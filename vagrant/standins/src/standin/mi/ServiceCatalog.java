package standin.mi;

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
import standin.base.Http;
import standin.base.Json;
import standin.base.Log;
import standin.base.Node;
import standin.base.Tree;

/** Publishes the services of an application to API-M when the application is deployed, and only then. */
final class ServiceCatalog {
    private static final String LOGGER = "org.wso2.micro.integrator.initializer.serviceCatalog.ServiceCatalogDeployer";
    private static final String PATH = "/api/am/service-catalog/v1/services";

    private final Tree config;
    private final SSLContext trust;
    private final String host;
    private final int port;

    /** Only the first [[service_catalog]] block counts. */
    ServiceCatalog(Tree config, SSLContext trust, String host, int port) {
        this.config = config;
        this.trust = trust;
        this.host = host;
        this.port = port;
    }

    void publish(CarbonApp app) {
        Map<String, byte[]> metadata = new LinkedHashMap<>();
        Map<String, byte[]> definitions = new LinkedHashMap<>();
        for (CarbonApp.Artifact a : app.of("synapse/metadata")) {
            if (a.name.endsWith("_metadata")) {
                metadata.put(a.name.replace("_metadata", ""), filled(a.content).getBytes(StandardCharsets.UTF_8));
            } else {
                definitions.put(a.name.replace("_swagger", ""), a.content.getBytes(StandardCharsets.UTF_8));
            }
        }
        if (metadata.isEmpty() || app.answers.isEmpty()) {
            return;
        }
        String base = config.text("apim_host", "https://localhost:9443").replaceAll("/$", "");
        Map<String, String> auth = Map.of("Authorization", Http.basic(config.text("username", ""), config.text("password", "")));
        Map<String, String> known;
        try {
            Http.Answer a = Http.call("GET", base + PATH, auth, null, trust, 10_000);
            if (a.status == 401) {
                Log.error(LOGGER, "Unauthenticated request to the service catalog of " + base + ": invalid credentials");
                return;
            }
            known = md5ByKey(a);
        } catch (IOException e) {
            Log.error(LOGGER, "Error occurred while reading the response from service catalog", e);
            return;
        }
        List<Object> verifier = new ArrayList<>();
        Map<String, byte[]> files = new LinkedHashMap<>();
        metadata.forEach((name, meta) -> {
            byte[] definition = definitions.getOrDefault(name, new byte[0]);
            String key = value(meta, "key"), md5 = md5(meta, definition);
            if (!md5.equals(known.get(key))) {
                verifier.add(Json.map("key", key, "md5", md5));
                files.put(name + "/metadata.yaml", meta);
                files.put(name + "/definition.yaml", definition);
            }
        });
        if (verifier.isEmpty()) {
            Log.info(LOGGER, "Service Catalog already contains the latest configs, aborting the service-catalog uploader");
            return;
        }
        upload(base, auth, Json.write(verifier), zip(files));
    }

    private static Map<String, String> md5ByKey(Http.Answer a) throws IOException {
        Map<String, Object> body = a.status == 200 ? Json.object(a.text()) : null;
        if (body == null) {
            throw new IOException("HTTP status " + a.status);
        }
        Map<String, String> out = new LinkedHashMap<>();
        for (Object o : (List<?>) body.get("list")) {
            out.put(String.valueOf(((Map<?, ?>) o).get("serviceKey")), String.valueOf(((Map<?, ?>) o).get("md5")));
        }
        return out;
    }

    /** Three tries, but only for 503 and 504. */
    private void upload(String base, Map<String, String> auth, String verifier, byte[] zip) {
        String boundary = "----standin" + System.nanoTime();
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        String head = "--" + boundary + "\r\nContent-Disposition: form-data; name=\"verifier\"\r\n\r\n" + verifier + "\r\n--" + boundary
                + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"payload.zip\"\r\nContent-Type: application/zip\r\n\r\n";
        body.writeBytes(head.getBytes(StandardCharsets.UTF_8));
        body.writeBytes(zip);
        body.writeBytes(("\r\n--" + boundary + "--\r\n").getBytes(StandardCharsets.UTF_8));
        Map<String, String> headers = new LinkedHashMap<>(auth);
        headers.put("Content-Type", "multipart/form-data; boundary=" + boundary);
        for (int i = 0; i < 3; i++) {
            try {
                Http.Answer a = Http.call("POST", base + PATH + "/import?overwrite=true", headers, body.toByteArray(), trust, 20_000);
                if (a.status == 200 || a.status == 201) {
                    Log.info(LOGGER, "Successfully updated the service catalog");
                    return;
                }
                Log.error(LOGGER, (a.status == 401 ? "Unauthenticated request" : "HTTP status " + a.status) + " while publishing to the service catalog");
                if (a.status != 503 && a.status != 504) {
                    return;
                }
            } catch (IOException e) {
                Log.error(LOGGER, "Error occurred while uploading metadata to service catalog", e);
                return;
            }
            Node.sleep(2000);
        }
    }

    private String filled(String metadata) {
        String h = env("MI_HOST", host), p = env("MI_PORT", String.valueOf(port));
        return metadata.replace("{MI_HOST}", h).replace("{MI_PORT}", p).replace("{MI_URL}", env("MI_URL", "https://" + h + ":" + p))
                .replace("{MI_GROUP_ID}", env("MI_GROUP_ID", ""));
    }

    private static String env(String name, String otherwise) {
        String v = System.getenv(name);
        return v == null || v.isEmpty() ? otherwise : v;
    }

    private static String value(byte[] metadata, String key) {
        for (String line : new String(metadata, StandardCharsets.UTF_8).split("\n")) {
            if (line.startsWith(key + ":")) {
                return line.substring(key.length() + 1).trim().replace("\"", "");
            }
        }
        return "";
    }

    private static String md5(byte[] a, byte[] b) {
        try {
            MessageDigest d = MessageDigest.getInstance("MD5");
            d.update(a);
            StringBuilder out = new StringBuilder();
            for (byte x : d.digest(b)) {
                out.append(String.format("%02x", x));
            }
            return out.toString();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
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
