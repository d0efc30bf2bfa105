package standin.am;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.cert.X509Certificate;
import java.security.interfaces.RSAPublicKey;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import standin.base.Call;
import standin.base.Json;
import standin.base.Log;
import standin.base.Node;
import standin.base.Services;

/** The servlet transport (9443 and 9763): which path goes where, and the REST APIs. */
final class Management {
    /** Tells all gateways that something changed. */
    interface Announce {
        void event(String stream, Map<String, Object> event);
    }

    private static final String CHANGED = "Cannot update the name or version or key or definition type of an existing service";

    private final AmConfig config;
    private final AmData data;
    private final Gateway gateway;
    private final X509Certificate signing;
    private final Announce announce;
    private final Portals portals;
    private final TenantAdmin tenantAdmin;

    Management(AmConfig config, AmData data, Gateway gateway, X509Certificate signing, Announce announce) {
        this.config = config;
        this.data = data;
        this.gateway = gateway;
        this.signing = signing;
        this.announce = announce;
        this.portals = new Portals(config, data);
        this.tenantAdmin = new TenantAdmin(data, announce);
    }

    void serve(Call call) throws Exception {
        String path = call.path();
        if (path.equals("/services/Version") || path.equals("/services/Version/")) {
            call.xml(200, "<ns:getVersionResponse xmlns:ns=\"http://version.services.core.carbon.wso2.org\"><return>WSO2 API Manager-"
                    + Node.version() + "</return></ns:getVersionResponse>");
        } else if (config.gateway() && path.equals("/api/am/gateway/v2/server-startup-healthcheck")) {
            call.send(gateway.ready() ? 200 : 500, null, new byte[0]);
        } else if (config.gateway() && path.equals("/api/am/gateway/v2/api-artifact")) {
            artifact(call);
        } else if (config.gateway() && data != null && path.equals("/api/am/gateway/v2/apis")) {
            apis(call);
        } else if (path.startsWith("/services/")) {
            tenantAdmin.serve(call, user(call));
        } else if (data == null || !config.portals()) {
            call.html(404, "<html><body>HTTP Status 404 - Not Found</body></html>");
        } else if (path.startsWith("/internal/data/v1/")) {
            internal(call);
        } else if (path.startsWith("/api/am/publisher/")) {
            publisher(call, path.replaceFirst("^/api/am/publisher(/v[0-9]+)?", ""));
        } else if (path.startsWith("/api/am/devportal/")) {
            devportal(call, path.replaceFirst("^/api/am/devportal(/v[0-9]+)?", ""));
        } else if (path.startsWith("/api/am/service-catalog/v1/")) {
            catalog(call, path.substring("/api/am/service-catalog/v1".length()));
        } else if (path.startsWith("/client-registration/") && path.endsWith("/register")) {
            register(call);
        } else if (path.matches("(/t/[^/]+)?/oauth2/jwks")) {
            jwks(call);
        } else if (path.equals("/oauth2/token")) {
            token(call);
        } else if (path.equals("/oauth2/revoke")) {
            data.revoke(call.form().get("token"));
            announce.event("tokenRevocation", Json.map("type", "TOKEN_REVOCATION", "token", call.form().get("token")));
            call.json(200, Json.map());
        } else {
            portals.serve(call);
        }
    }

    /** The user of a Basic or Bearer header, or null. (The product's publisher wants a token; the stand-in takes both.) */
    private AmData.User user(Call call) throws SQLException {
        if (data == null) {
            return null;
        }
        String[] basic = call.basic();
        return basic != null ? data.login(basic[0], basic[1]) : call.bearer() != null ? data.tokenUser(call.bearer()) : null;
    }

    private AmData.User require(Call call) throws IOException, SQLException {
        AmData.User u = user(call);
        if (u == null) {
            call.set("WWW-Authenticate", "Basic realm=\"WSO2 API Manager\"");
            error(call, 401, "Unauthenticated request");
        }
        return u;
    }

    private static void error(Call call, int status, String description) throws IOException {
        call.json(status, Json.map("code", status, "message", status == 404 ? "Not Found" : status == 401 ? "Unauthorized" : "Error",
                "description", description, "moreInfo", "", "error", List.of()));
    }

    /** What is in the gateway's Synapse configuration. Source: carbon-apimgt, rest.api.gateway, ApiArtifactApiServiceImpl. */
    private void artifact(Call call) throws IOException, SQLException {
        if (require(call) == null) {
            return;
        }
        String name = call.query("apiName", "");
        if (gateway.has(call.query("tenantDomain", "carbon.super"), name, call.query("version", ""))) {
            call.json(200, Json.map("api", "<api xmlns=\"http://ws.apache.org/ns/synapse\" name=\"" + name + "\"/>"));
        } else {
            call.send(404, null, new byte[0]);
        }
    }

    private void apis(Call call) throws IOException, SQLException {
        if (require(call) != null) {
            List<Map<String, Object>> list = gateway.heardOf(call.query("tenantDomain", "carbon.super"));
            call.json(200, Json.map("count", list.size(), "list", list));
        }
    }

    // ---- what gateways pull --------------------------------------------------------------------------------------

    private void internal(Call call) throws Exception {
        if (require(call) == null) {
            return;
        }
        if (call.path().endsWith("/runtime-artifacts")) {
            call.json(200, Json.map("list", data.artifacts(Arrays.asList(call.query("gatewayLabel", "Default").split(",")), call.query("apiId", null))));
        } else if (call.path().endsWith("/tenants")) {
            call.json(200, Json.map("list", activeDomains()));
        } else if (call.path().endsWith("/revokedjwt")) {
            call.json(200, Json.map("list", data.revokedTokens()));
        } else if (call.is("POST", "/internal/data/v1/notify")) {
            Map<String, Object> event = Json.object(call.bodyText());
            announce.event("tokenRevocation", event == null ? Json.map("type", "TOKEN_REVOCATION") : event);
            call.json(200, Json.map());
        } else {
            error(call, 404, "no such resource");
        }
    }

    private List<String> activeDomains() throws SQLException {
        List<String> out = new ArrayList<>();
        for (Map<String, String> t : data.tenants()) {
            if (AmData.active(t)) {
                out.add(t.get("UM_DOMAIN_NAME"));
            }
        }
        return out;
    }

    // ---- publisher and developer portal --------------------------------------------------------------------------

    private void publisher(Call call, String path) throws Exception {
        if (path.equals("/settings")) {
            call.json(200, Json.map("standIn", true, "devportalUrl", config.publicBase() + "/devportal", "environment", environments(),
                    "scopes", List.of("apim:api_create", "apim:api_publish", "apim:api_view"), "docVisibilityEnabled", false));
            return;
        }
        AmData.User user = require(call);
        if (user == null) {
            return;
        }
        String[] part = path.split("/");
        if (call.is("GET", call.path()) && path.equals("/apis")) {
            List<Object> list = new ArrayList<>();
            for (Map<String, String> a : data.apis(user)) {
                list.add(shown(a));
            }
            call.json(200, Json.map("count", list.size(), "list", list, "pagination", Json.map("offset", 0, "limit", 25, "total", list.size())));
        } else if (call.method().equals("POST") && path.equals("/apis")) {
            create(call, user, null);
        } else if (call.method().equals("POST") && path.equals("/apis/import-service")) {
            Map<String, String> service = data.service(user.tenant, "SERVICE_KEY", call.query("serviceKey", ""));
            if (service == null) {
                error(call, 404, "Requested Service with Id '" + call.query("serviceKey", "") + "' not found");
            } else {
                create(call, user, service);
            }
        } else if (call.method().equals("POST") && path.equals("/apis/change-lifecycle")) {
            data.setState(call.query("apiId", ""), call.query("action", "").equalsIgnoreCase("Publish") ? "PUBLISHED" : "CREATED");
            call.json(200, Json.map("workflowStatus", "APPROVED"));
        } else if (part.length >= 3 && part[1].equals("apis")) {
            Map<String, String> api = data.api(part[2]);
            if (api == null || !user.domain.equals(api.get("ORGANIZATION"))) {
                error(call, 404, "Requested API with id '" + part[2] + "' not found");
            } else {
                oneApi(call, api, part.length > 3 ? part[3] : "");
            }
        } else {
            error(call, 404, "no such resource");
        }
    }

    /** With a service of the catalog, the API calls its address and keeps it from being deleted. */
    private void create(Call call, AmData.User user, Map<String, String> service) throws Exception {
        Map<String, Object> body = Json.object(call.bodyText());
        if (body == null || body.get("name") == null || body.get("context") == null || body.get("version") == null) {
            error(call, 400, "name, context and version are needed");
            return;
        }
        String context = String.valueOf(body.get("context"));
        String id = data.addApi(user, (String) body.get("name"), context.startsWith("/") ? context : "/" + context,
                String.valueOf(body.get("version")), service == null ? backend(body) : service.get("SERVICE_URL"));
        if (id == null) {
            error(call, 409, "The API already exists: " + body.get("name") + "-" + body.get("version"));
            return;
        }
        if (service != null) {
            data.mapService(id, service.get("SERVICE_KEY"), user);
        }
        call.json(201, shown(data.api(id)));
    }

    private void oneApi(Call call, Map<String, String> api, String action) throws Exception {
        String id = api.get("API_UUID");
        switch (call.method() + " " + action) {
            case "GET ":
                call.json(200, shown(api));
                return;
            case "PUT ":
                data.setBackend(api, backend(Json.object(call.bodyText())));
                call.json(200, shown(data.api(id)));
                return;
            case "DELETE ":
                data.deleteApi(id);
                announce.event("notification", Json.map("type", "REMOVE_API_FROM_GATEWAY", "apiId", id));
                call.json(200, Json.map());
                return;
            case "POST revisions":
                call.json(201, Json.map("id", data.addRevision(id), "displayName", "Revision"));
                return;
            case "POST deploy-revision":
                List<String> labels = new ArrayList<>();
                Object asked = Json.parse(call.bodyText());
                if (asked instanceof List) {
                    for (Object o : (List<?>) asked) {
                        labels.add(String.valueOf(((Map<?, ?>) o).get("name")));
                    }
                }
                labels = labels.isEmpty() ? List.of(config.environments().get(0)) : labels;
                if (!config.environments().containsAll(labels)) {
                    error(call, 400, "Gateway environment " + labels + " is not in " + config.environments());
                    return;
                }
                data.deploy(id, labels);
                announce.event("notification", Json.map("type", "DEPLOY_API_IN_GATEWAY", "apiId", id, "gatewayLabels", labels));
                call.json(201, labels);
                return;
            case "POST undeploy-revision":
                data.undeploy(id);
                announce.event("notification", Json.map("type", "REMOVE_API_FROM_GATEWAY", "apiId", id));
                call.json(201, List.of());
                return;
            default:
                error(call, 404, "no such resource");
        }
    }

    /** endpointConfig.production_endpoints.url, or null. */
    private static String backend(Map<String, Object> body) {
        Object endpoint = body == null ? null : body.get("endpointConfig");
        Object production = endpoint instanceof Map ? ((Map<?, ?>) endpoint).get("production_endpoints") : null;
        Object url = production instanceof Map ? ((Map<?, ?>) production).get("url") : null;
        return url == null ? null : url.toString();
    }

    private static Map<String, Object> shown(Map<String, String> api) {
        return Json.map("id", api.get("API_UUID"), "name", api.get("API_NAME"), "context", api.get("CONTEXT"), "version", api.get("API_VERSION"),
                "provider", api.get("API_PROVIDER"), "lifeCycleStatus", api.get("STATUS"), "type", api.get("API_TYPE"));
    }

    private List<Object> environments() {
        List<Object> out = new ArrayList<>();
        for (String e : config.environments()) {
            out.add(Json.map("name", e, "displayName", e));
        }
        return out;
    }

    private void devportal(Call call, String path) throws Exception {
        if (path.equals("/settings")) {
            call.json(200, Json.map("standIn", true, "grantTypes", List.of("client_credentials", "password"), "scopes", List.of("apim:subscribe")));
        } else if (path.equals("/tenants")) {
            List<Object> list = new ArrayList<>();
            if (call.query("state", "active").equals("active")) {
                list.add(Json.map("domain", "carbon.super", "status", "ACTIVE"));
            }
            for (Map<String, String> t : data.tenants()) {
                if (AmData.active(t) == call.query("state", "active").equals("active")) {
                    list.add(Json.map("domain", t.get("UM_DOMAIN_NAME"), "status", AmData.active(t) ? "ACTIVE" : "INACTIVE"));
                }
            }
            call.json(200, Json.map("count", list.size(), "list", list));
        } else if (path.equals("/apis")) {
            List<Object> list = new ArrayList<>();
            String tenant = call.header("X-WSO2-Tenant");
            for (Map<String, String> a : data.apis(new AmData.User("", 0, tenant == null ? "carbon.super" : tenant))) {
                if ("PUBLISHED".equals(a.get("STATUS"))) {
                    list.add(shown(a));
                }
            }
            call.json(200, Json.map("count", list.size(), "list", list));
        } else {
            error(call, 404, "no such resource");
        }
    }

    // ---- service catalog -----------------------------------------------------------------------------------------

    private void catalog(Call call, String path) throws Exception {
        AmData.User user = require(call);
        if (user == null) {
            return;
        }
        boolean mayRead = data.hasRole(user, "admin", "Internal/creator", "Internal/publisher");
        boolean mayWrite = data.hasRole(user, "admin", "Internal/creator");
        if (call.method().equals("GET") ? !mayRead : !mayWrite) {
            error(call, 403, "The access token does not allow you to access the requested resource");
        } else if (call.method().equals("GET") && path.equals("/services")) {
            List<Object> list = new ArrayList<>();
            String key = call.query("key", null), name = call.query("name", null);
            for (Map<String, String> s : data.services(user.tenant)) {
                if ((key == null || key.equals(s.get("SERVICE_KEY"))) && (name == null || name.equals(s.get("SERVICE_NAME")))) {
                    list.add(shown(s, user));
                }
            }
            call.json(200, Json.map("list", list, "pagination", Json.map("offset", 0, "limit", 25, "total", list.size())));
        } else if (call.method().equals("POST") && path.equals("/services/import")) {
            importServices(call, user);
        } else {
            oneService(call, user, path.split("/"));
        }
    }

    private Map<String, Object> shown(Map<String, String> s, AmData.User user) throws SQLException {
        return Json.map("id", s.get("UUID"), "name", s.get("SERVICE_NAME"), "version", s.get("SERVICE_VERSION"), "md5", s.get("MD5"),
                "serviceKey", s.get("SERVICE_KEY"), "serviceUrl", s.get("SERVICE_URL"), "definitionType", s.get("DEFINITION_TYPE"),
                "createdBy", s.get("CREATED_BY"), "usage", data.usage(user, s.get("SERVICE_KEY")).size());
    }

    private void oneService(Call call, AmData.User user, String[] part) throws Exception {
        Map<String, String> service = part.length < 3 || !part[1].equals("services") ? null : data.service(user.tenant, "UUID", part[2]);
        if (service == null) {
            error(call, 404, "Service not found");
            return;
        }
        List<Map<String, String>> usage = data.usage(user, service.get("SERVICE_KEY"));
        switch (call.method() + (part.length > 3 ? " " + part[3] : "")) {
            case "GET":
                call.json(200, shown(service, user));
                return;
            case "GET usage":
                List<Object> apis = new ArrayList<>();
                usage.forEach(a -> apis.add(shown(a)));
                call.json(200, Json.map("count", apis.size(), "list", apis));
                return;
            case "DELETE":
                if (!usage.isEmpty()) {
                    error(call, 409, "Cannot remove the Service as it is used by one or more APIs");
                    return;
                }
                data.deleteService(user.tenant, part[2]);
                call.send(204, null, new byte[0]);
                return;
            default:
                error(call, 404, "no such resource");
        }
    }

    /**
     * A zip with one folder per service (metadata.yaml, definition.yaml). The verifier holds the md5 that the caller saw
     * last: a service that somebody else has changed since is refused, and with it the whole import.
     */
    private void importServices(Call call, AmData.User user) throws Exception {
        Map<String, byte[]> parts = call.parts();
        if (!parts.containsKey("file")) {
            error(call, 400, "file is needed");
            return;
        }
        boolean overwrite = Boolean.parseBoolean(call.query("overwrite", "false"));
        Map<Object, Object> seen = new LinkedHashMap<>();
        Object verifier = parts.containsKey("verifier") ? Json.parse(new String(parts.get("verifier"), StandardCharsets.UTF_8)) : null;
        for (Object v : verifier instanceof List && overwrite ? (List<?>) verifier : List.of()) {
            seen.put(((Map<?, ?>) v).get("key"), ((Map<?, ?>) v).get("md5"));
        }
        Map<String, Map<String, byte[]>> folders = unzip(parts.get("file"));
        List<Map<String, Object>> metas = new ArrayList<>();
        for (Map<String, byte[]> files : folders.values()) {
            Map<String, Object> meta = metadata(files.get("metadata.yaml"));
            meta.putIfAbsent("definitionType", "OAS3");
            String why = refused(user, meta, files.get("definition.yaml"), overwrite, seen.get(meta.get("key")));
            if (why != null) {
                error(call, 400, why);
                return;
            }
            metas.add(meta);
        }
        List<Object> imported = new ArrayList<>();
        for (Map<String, Object> meta : metas) {
            Map<String, byte[]> files = folders.values().stream().skip(imported.size()).findFirst().orElseThrow();
            String md5 = Services.md5(files.get("metadata.yaml"), files.get("definition.yaml"));
            Map<String, String> old = data.service(user.tenant, "SERVICE_KEY", String.valueOf(meta.get("key")));
            if (old == null || !md5.equals(old.get("MD5"))) {
                data.saveService(user, meta, md5, files.get("definition.yaml"));
                Log.info("org.wso2.carbon.apimgt.rest.api.service.catalog.impl.ServicesApiServiceImpl", "Service " + meta.get("name") + " imported for "
                        + user.domain);
            }
            imported.add(Json.map("name", meta.get("name"), "version", meta.get("version"), "serviceKey", meta.get("key"), "md5", md5));
        }
        call.json(200, Json.map("count", imported.size(), "list", imported));
    }

    private String refused(AmData.User user, Map<String, Object> meta, byte[] definition, boolean overwrite, Object seen) throws SQLException {
        String key = String.valueOf(meta.get("key")), name = String.valueOf(meta.get("name"));
        if (meta.get("key") == null || meta.get("name") == null || meta.get("serviceUrl") == null || definition == null || definition.length == 0) {
            return "The Service import has been failed as invalid service definition provided";
        }
        Map<String, String> old = data.service(user.tenant, "SERVICE_KEY", key);
        if (old == null) {
            Map<String, String> other = data.service(user.tenant, "SERVICE_NAME", name);
            return other == null || !other.get("SERVICE_VERSION").equals(meta.get("version")) ? null : CHANGED;
        }
        return seen != null && !seen.equals(old.get("MD5")) ? "The Service import has been failed since to verifier validation fails"
                : !overwrite ? "Cannot update existing services when overwrite is false"
                : !name.equals(old.get("SERVICE_NAME")) || !String.valueOf(meta.get("version")).equals(old.get("SERVICE_VERSION"))
                        || !String.valueOf(meta.get("definitionType")).equals(old.get("DEFINITION_TYPE")) ? CHANGED : null;
    }

    private static Map<String, Map<String, byte[]>> unzip(byte[] file) throws IOException {
        Map<String, Map<String, byte[]>> folders = new LinkedHashMap<>();
        try (ZipInputStream zip = new ZipInputStream(new ByteArrayInputStream(file))) {
            for (ZipEntry e = zip.getNextEntry(); e != null; e = zip.getNextEntry()) {
                int slash = e.getName().lastIndexOf('/');
                if (!e.isDirectory() && slash > 0) {
                    folders.computeIfAbsent(e.getName().substring(0, slash), k -> new LinkedHashMap<>())
                            .put(e.getName().substring(slash + 1), zip.readAllBytes());
                }
            }
        }
        return folders;
    }

    private static Map<String, Object> metadata(byte[] yaml) {
        Map<String, Object> out = new LinkedHashMap<>();
        if (yaml != null) {
            for (String line : new String(yaml, StandardCharsets.UTF_8).split("\n")) {
                int colon = line.indexOf(": ");
                if (colon > 0) {
                    out.put(line.substring(0, colon).trim(), line.substring(colon + 2).trim().replaceAll("^\"|\"$", ""));
                }
            }
        }
        return out;
    }

    // ---- key manager ---------------------------------------------------------------------------------------------

    private void register(Call call) throws Exception {
        AmData.User user = require(call);
        if (user == null) {
            return;
        }
        Map<String, Object> body = Json.object(call.bodyText());
        String name = body == null ? "rest_api" : String.valueOf(body.getOrDefault("clientName", "rest_api"));
        Map<String, String> c = data.addClient(user, name, body == null ? "" : String.valueOf(body.getOrDefault("callbackUrl", "")));
        call.json(200, Json.map("clientId", c.get("CONSUMER_KEY"), "clientSecret", c.get("CONSUMER_SECRET"), "clientName", name,
                "appOwner", user.full(), "isSaasApplication", true));
    }

    private void token(Call call) throws Exception {
        String[] basic = call.basic();
        Map<String, String> form = call.form();
        Map<String, String> client = basic == null ? null : data.client(basic[0], basic[1]);
        if (client == null) {
            call.json(401, Json.map("error", "invalid_client", "error_description", "A valid OAuth client could not be found for client_id"));
            return;
        }
        String grant = form.getOrDefault("grant_type", "");
        int tenant = Integer.parseInt(client.get("TENANT_ID"));
        AmData.User user = grant.equals("client_credentials") ? new AmData.User(client.get("USERNAME"), tenant, data.domainOf(tenant))
                : grant.equals("password") ? data.login(form.getOrDefault("username", ""), form.getOrDefault("password", "")) : null;
        if (user == null) {
            call.json(400, Json.map("error", grant.equals("password") ? "invalid_grant" : "unsupported_grant_type"));
            return;
        }
        String token = data.issueToken(client, user, grant);
        call.json(200, Json.map("access_token", token, "scope", form.getOrDefault("scope", "default"), "token_type", "Bearer", "expires_in", 3600));
    }

    private void jwks(Call call) throws Exception {
        RSAPublicKey key = (RSAPublicKey) signing.getPublicKey();
        byte[] sha = MessageDigest.getInstance("SHA-256").digest(signing.getEncoded());
        Base64.Encoder b64 = Base64.getUrlEncoder().withoutPadding();
        call.json(200, Json.map("keys", List.of(Json.map("kty", "RSA", "use", "sig", "alg", "RS256", "kid", b64.encodeToString(sha),
                "n", b64.encodeToString(bytes(key.getModulus())), "e", b64.encodeToString(bytes(key.getPublicExponent()))))));
    }

    private static byte[] bytes(BigInteger i) {
        byte[] b = i.toByteArray();
        return b[0] == 0 ? Arrays.copyOfRange(b, 1, b.length) : b;
    }
}
