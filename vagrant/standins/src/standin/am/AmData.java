package standin.am;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import standin.base.Json;
import standin.base.Log;
import standin.base.Node;
import standin.base.Store;

/** What API Manager keeps in its two databases. */
final class AmData {
    static final int SUPER_TENANT = -1234;

    /** A user who has logged in: bare name and tenant. */
    static final class User {
        final String name;
        final int tenant;
        final String domain;

        User(String name, int tenant, String domain) {
            this.name = name;
            this.tenant = tenant;
            this.domain = domain;
        }

        String full() {
            return tenant == SUPER_TENANT ? name : name + "@" + domain;
        }
    }

    private final Store shared;
    private final Store apim;

    AmData(Store shared, Store apim) {
        this.shared = shared;
        this.apim = apim;
    }

    private static Timestamp now() {
        return new Timestamp(System.currentTimeMillis());
    }

    private static Map<String, Object> row(Object... pairs) {
        return Json.map(pairs);
    }

    private static String hash(String password, String salt) {
        try {
            MessageDigest sha = MessageDigest.getInstance("SHA-256");
            return Base64.getEncoder().encodeToString(sha.digest((password + salt).getBytes(StandardCharsets.UTF_8)));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    // ---- users -------------------------------------------------------------------------------------------------

    /** Look, then write, with nothing in between to stop a second node from doing the same: first starts must be serial. */
    void seedSuperAdmin(String name, String password) throws SQLException {
        if (shared.select("UM_USER", row("UM_TENANT_ID", SUPER_TENANT)).isEmpty()) {
            Node.pause(1500);
            addUser(name, password, SUPER_TENANT);
            addRole(name, "admin", SUPER_TENANT);
            Log.info("org.wso2.carbon.user.core.common.AbstractUserStoreManager", "Super admin " + name + " was added to the empty user store");
        }
    }

    void addUser(String name, String password, int tenant) throws SQLException {
        String salt = UUID.randomUUID().toString().substring(0, 22);
        shared.insert("UM_USER", row("UM_USER_ID", UUID.randomUUID().toString(), "UM_USER_NAME", name, "UM_USER_PASSWORD", hash(password, salt),
                "UM_SALT_VALUE", salt, "UM_CHANGED_TIME", now(), "UM_TENANT_ID", tenant));
    }

    void addRole(String user, String role, int tenant) throws SQLException {
        shared.insert("UM_HYBRID_USER_ROLE", row("UM_NAME", user, "UM_VALUE", role, "UM_TENANT_ID", tenant));
    }

    boolean hasRole(User user, String... oneOf) throws SQLException {
        for (Map<String, String> r : shared.select("UM_HYBRID_USER_ROLE", row("UM_NAME", user.name, "UM_TENANT_ID", user.tenant))) {
            if (List.of(oneOf).contains(r.get("UM_VALUE"))) {
                return true;
            }
        }
        return false;
    }

    boolean userExists(String name, int tenant) throws SQLException {
        return !shared.select("UM_USER", row("UM_USER_NAME", name, "UM_TENANT_ID", tenant)).isEmpty();
    }

    /** The user behind `name` or `name@domain`, or null when the password is wrong or the tenant not active. */
    User login(String fullName, String password) throws SQLException {
        String name = fullName, domain = "carbon.super";
        int tenant = SUPER_TENANT;
        int at = fullName.lastIndexOf('@');
        if (at > 0 && !fullName.endsWith("@carbon.super")) {
            Map<String, String> t = tenant(fullName.substring(at + 1));
            if (t == null || !active(t)) {
                return null;
            }
            tenant = Integer.parseInt(t.get("UM_ID"));
            domain = t.get("UM_DOMAIN_NAME");
        }
        if (at > 0) {
            name = fullName.substring(0, at);
        }
        for (Map<String, String> u : shared.select("UM_USER", row("UM_USER_NAME", name, "UM_TENANT_ID", tenant))) {
            if (hash(password, u.get("UM_SALT_VALUE")).equals(u.get("UM_USER_PASSWORD"))) {
                return new User(name, tenant, domain);
            }
        }
        return null;
    }

    // ---- tenants -----------------------------------------------------------------------------------------------

    Map<String, String> tenant(String domain) throws SQLException {
        List<Map<String, String>> l = shared.select("UM_TENANT", row("UM_DOMAIN_NAME", domain));
        return l.isEmpty() ? null : l.get(0);
    }

    List<Map<String, String>> tenants() throws SQLException {
        return shared.select("UM_TENANT", row());
    }

    static boolean active(Map<String, String> tenant) {
        return "1".equals(tenant.get("UM_ACTIVE")) || "true".equals(tenant.get("UM_ACTIVE"));
    }

    /** Active from the start, as in the product. Who its admin is stands in the column of the realm configuration. */
    void addTenant(String domain, String email, Map<String, Object> admin, String password) throws SQLException {
        shared.insert("UM_TENANT", row("UM_TENANT_UUID", UUID.randomUUID().toString(), "UM_DOMAIN_NAME", domain, "UM_EMAIL", email,
                "UM_ACTIVE", 1, "UM_CREATED_DATE", now(), "UM_USER_CONFIG", Json.write(admin).getBytes(StandardCharsets.UTF_8)));
        int id = Integer.parseInt(tenant(domain).get("UM_ID"));
        addUser(String.valueOf(admin.get("admin")), password, id);
        addRole(String.valueOf(admin.get("admin")), "admin", id);
    }

    void updateTenant(Map<String, String> tenant, String email, Map<String, Object> admin, String password) throws SQLException {
        shared.update("UM_TENANT", row("UM_EMAIL", email, "UM_USER_CONFIG", Json.write(admin).getBytes(StandardCharsets.UTF_8)),
                row("UM_ID", Integer.parseInt(tenant.get("UM_ID"))));
        if (password != null) {
            String salt = UUID.randomUUID().toString().substring(0, 22);
            shared.update("UM_USER", row("UM_USER_PASSWORD", hash(password, salt), "UM_SALT_VALUE", salt, "UM_CHANGED_TIME", now()),
                    row("UM_USER_NAME", admin.get("admin"), "UM_TENANT_ID", Integer.parseInt(tenant.get("UM_ID"))));
        }
    }

    /** admin, firstname and lastname. */
    static Map<String, Object> tenantAdmin(Map<String, String> tenant) {
        Map<String, Object> out = tenant.get("UM_USER_CONFIG") == null ? null : Json.object(tenant.get("UM_USER_CONFIG"));
        return out == null ? row() : out;
    }

    void activate(String domain, boolean on) throws SQLException {
        shared.update("UM_TENANT", row("UM_ACTIVE", on ? 1 : 0), row("UM_DOMAIN_NAME", domain));
    }

    String domainOf(int tenant) throws SQLException {
        List<Map<String, String>> l = tenant == SUPER_TENANT ? List.of() : shared.select("UM_TENANT", row("UM_ID", tenant));
        return l.isEmpty() ? "carbon.super" : l.get(0).get("UM_DOMAIN_NAME");
    }

    // ---- APIs --------------------------------------------------------------------------------------------------

    /** The sample that every first start leaves behind. No guard against a second node doing the same at once. */
    void seedSample(String environment) throws SQLException {
        if (apim.select("AM_API", row()).isEmpty()) {
            User admin = new User("admin", SUPER_TENANT, "carbon.super");
            String id = addApi(admin, "PizzaShack", "/pizzashack", "1.0.0", null);
            deploy(id, List.of(environment));
        }
    }

    /** Null when the name and version are taken. */
    String addApi(User user, String name, String context, String version, String backend) throws SQLException {
        String full = (user.tenant == SUPER_TENANT ? "" : "/t/" + user.domain) + context + "/" + version;
        if (!apim.select("AM_API", row("CONTEXT", full)).isEmpty()) {
            return null;
        }
        String id = UUID.randomUUID().toString();
        apim.insert("AM_API", row("API_UUID", id, "API_PROVIDER", user.full(), "API_NAME", name, "API_VERSION", version, "CONTEXT", full,
                "CONTEXT_TEMPLATE", context + "/{version}", "API_TYPE", "HTTP", "STATUS", "CREATED", "ORGANIZATION", user.domain,
                "CREATED_BY", user.full(), "CREATED_TIME", now(), "UPDATED_TIME", now()));
        saveArtifact(id, name, version, full, backend, user.domain);
        return id;
    }

    private void saveArtifact(String id, String name, String version, String context, String backend, String domain) throws SQLException {
        Map<String, Object> artifact = row("name", name, "version", version, "context", context, "backend", backend, "organization", domain);
        if (apim.select("AM_GW_PUBLISHED_API_DETAILS", row("API_ID", id)).isEmpty()) {
            apim.insert("AM_GW_PUBLISHED_API_DETAILS", row("API_ID", id, "API_NAME", name, "API_VERSION", version, "TENANT_DOMAIN", domain,
                    "API_TYPE", "HTTP"));
            apim.insert("AM_GW_API_ARTIFACTS", row("API_ID", id, "REVISION_ID", "Current", "TENANT_DOMAIN", domain,
                    "ARTIFACT", Json.write(artifact).getBytes(StandardCharsets.UTF_8), "TIME_STAMP", now()));
        } else {
            apim.update("AM_GW_API_ARTIFACTS", row("ARTIFACT", Json.write(artifact).getBytes(StandardCharsets.UTF_8), "TIME_STAMP", now()),
                    row("API_ID", id));
        }
    }

    void setBackend(Map<String, String> api, String backend) throws SQLException {
        saveArtifact(api.get("API_UUID"), api.get("API_NAME"), api.get("API_VERSION"), api.get("CONTEXT"), backend, api.get("ORGANIZATION"));
        apim.update("AM_API", row("UPDATED_TIME", now()), row("API_UUID", api.get("API_UUID")));
    }

    String addRevision(String apiId) throws SQLException {
        String id = UUID.randomUUID().toString();
        int n = apim.select("AM_REVISION", row("API_UUID", apiId)).size() + 1;
        apim.insert("AM_REVISION", row("ID", n, "API_UUID", apiId, "REVISION_UUID", id, "DESCRIPTION", "Revision " + n,
                "CREATED_TIME", now(), "CREATED_BY", "admin"));
        return id;
    }

    void deploy(String apiId, List<String> environments) throws SQLException {
        for (String env : environments) {
            if (apim.select("AM_GW_API_DEPLOYMENTS", row("API_ID", apiId, "LABEL", env)).isEmpty()) {
                apim.insert("AM_GW_API_DEPLOYMENTS", row("API_ID", apiId, "REVISION_ID", "Current", "LABEL", env, "VHOST", "localhost"));
            }
        }
    }

    void undeploy(String apiId) throws SQLException {
        apim.delete("AM_GW_API_DEPLOYMENTS", row("API_ID", apiId));
    }

    void deleteApi(String apiId) throws SQLException {
        undeploy(apiId);
        apim.delete("AM_GW_API_ARTIFACTS", row("API_ID", apiId));
        apim.delete("AM_GW_PUBLISHED_API_DETAILS", row("API_ID", apiId));
        apim.delete("AM_REVISION", row("API_UUID", apiId));
        apim.delete("AM_API_SERVICE_MAPPING", row("UUID", apiId));
        apim.delete("AM_API", row("API_UUID", apiId));
    }

    void setState(String apiId, String state) throws SQLException {
        apim.update("AM_API", row("STATUS", state, "UPDATED_TIME", now()), row("API_UUID", apiId));
    }

    List<Map<String, String>> apis(User user) throws SQLException {
        return apim.select("AM_API", row("ORGANIZATION", user.domain));
    }

    Map<String, String> api(String id) throws SQLException {
        List<Map<String, String>> l = apim.select("AM_API", row("API_UUID", id));
        return l.isEmpty() ? null : l.get(0);
    }

    /** What a gateway pulls: deployed artifacts of the labels, one API or all. */
    List<Object> artifacts(List<String> labels, String apiId) throws SQLException {
        Map<String, Object> out = new LinkedHashMap<>();
        for (String label : labels) {
            Map<String, Object> where = apiId == null ? row("LABEL", label) : row("LABEL", label, "API_ID", apiId);
            for (Map<String, String> d : apim.select("AM_GW_API_DEPLOYMENTS", where)) {
                for (Map<String, String> a : apim.select("AM_GW_API_ARTIFACTS", row("API_ID", d.get("API_ID")))) {
                    Map<String, Object> artifact = Json.object(a.get("ARTIFACT"));
                    artifact.put("id", d.get("API_ID"));
                    out.put(d.get("API_ID"), artifact);
                }
            }
        }
        return new ArrayList<>(out.values());
    }

    // ---- service catalog -----------------------------------------------------------------------------------------

    List<Map<String, String>> services(int tenant) throws SQLException {
        return apim.select("AM_SERVICE_CATALOG", row("TENANT_ID", tenant));
    }

    /** The service of this column's value, or null. */
    Map<String, String> service(int tenant, String column, String value) throws SQLException {
        List<Map<String, String>> l = apim.select("AM_SERVICE_CATALOG", row(column, value, "TENANT_ID", tenant));
        return l.isEmpty() ? null : l.get(0);
    }

    void saveService(User user, Map<String, Object> meta, String md5, byte[] definition) throws SQLException {
        Map<String, Object> row = row("SERVICE_KEY", meta.get("key"), "MD5", md5, "SERVICE_NAME", meta.get("name"),
                "SERVICE_VERSION", meta.get("version"), "SERVICE_URL", meta.get("serviceUrl"),
                "DEFINITION_TYPE", meta.get("definitionType"), "DESCRIPTION", meta.getOrDefault("description", ""),
                "LAST_UPDATED_TIME", now(), "UPDATED_BY", user.full(), "SERVICE_DEFINITION", definition);
        Map<String, Object> key = row("SERVICE_KEY", meta.get("key"), "TENANT_ID", user.tenant);
        if (apim.select("AM_SERVICE_CATALOG", key).isEmpty()) {
            row.putAll(row("UUID", UUID.randomUUID().toString(), "TENANT_ID", user.tenant, "CREATED_TIME", now(), "CREATED_BY", user.full()));
            apim.insert("AM_SERVICE_CATALOG", row);
        } else {
            apim.update("AM_SERVICE_CATALOG", row, key);
        }
    }

    void deleteService(int tenant, String uuid) throws SQLException {
        apim.delete("AM_SERVICE_CATALOG", row("UUID", uuid, "TENANT_ID", tenant));
    }

    void mapService(String apiId, String key, User user) throws SQLException {
        apim.insert("AM_API_SERVICE_MAPPING", row("UUID", apiId, "NAME", key, "ORGANIZATION", user.domain));
    }

    /** The APIs that were made from a service. */
    List<Map<String, String>> usage(User user, String key) throws SQLException {
        List<Map<String, String>> out = new ArrayList<>();
        for (Map<String, String> m : apim.select("AM_API_SERVICE_MAPPING", row("NAME", key, "ORGANIZATION", user.domain))) {
            Map<String, String> api = api(m.get("UUID"));
            if (api != null) {
                out.add(api);
            }
        }
        return out;
    }

    // ---- OAuth ---------------------------------------------------------------------------------------------------

    Map<String, String> addClient(User user, String name, String callback) throws SQLException {
        List<Map<String, String>> l = apim.select("IDN_OAUTH_CONSUMER_APPS", row("APP_NAME", name, "TENANT_ID", user.tenant));
        if (l.isEmpty()) {
            apim.insert("IDN_OAUTH_CONSUMER_APPS", row("CONSUMER_KEY", secret(), "CONSUMER_SECRET", secret(), "USERNAME", user.name,
                    "TENANT_ID", user.tenant, "USER_DOMAIN", "PRIMARY", "APP_NAME", name, "OAUTH_VERSION", "OAuth-2.0",
                    "CALLBACK_URL", callback, "GRANT_TYPES", "client_credentials password refresh_token"));
            l = apim.select("IDN_OAUTH_CONSUMER_APPS", row("APP_NAME", name, "TENANT_ID", user.tenant));
        }
        return l.get(0);
    }

    /** A portal registers itself at its first login, with the URL that the node has at that moment. */
    void registerPortal(String portal, String callback) throws SQLException {
        if (apim.select("AM_SYSTEM_APPS", row("NAME", portal, "TENANT_DOMAIN", "carbon.super")).isEmpty()) {
            Map<String, String> client = addClient(new User("admin", SUPER_TENANT, "carbon.super"), portal, callback);
            apim.insert("AM_SYSTEM_APPS", row("NAME", portal, "CONSUMER_KEY", client.get("CONSUMER_KEY"),
                    "CONSUMER_SECRET", client.get("CONSUMER_SECRET"), "TENANT_DOMAIN", "carbon.super", "CREATED_TIME", now()));
        }
    }

    Map<String, String> client(String key, String secret) throws SQLException {
        List<Map<String, String>> l = apim.select("IDN_OAUTH_CONSUMER_APPS", row("CONSUMER_KEY", key, "CONSUMER_SECRET", secret));
        return l.isEmpty() ? null : l.get(0);
    }

    String issueToken(Map<String, String> client, User user, String grant) throws SQLException {
        String token = secret();
        apim.insert("IDN_OAUTH2_ACCESS_TOKEN", row("TOKEN_ID", UUID.randomUUID().toString(), "ACCESS_TOKEN", token,
                "CONSUMER_KEY_ID", Integer.parseInt(client.get("ID")), "AUTHZ_USER", user.name, "TENANT_ID", user.tenant, "USER_DOMAIN", "PRIMARY",
                "USER_TYPE", "client_credentials".equals(grant) ? "APPLICATION" : "APPLICATION_USER", "GRANT_TYPE", grant,
                "TIME_CREATED", now(), "VALIDITY_PERIOD", 3_600_000L, "TOKEN_STATE", "ACTIVE"));
        return token;
    }

    User tokenUser(String token) throws SQLException {
        for (Map<String, String> t : apim.select("IDN_OAUTH2_ACCESS_TOKEN", row("ACCESS_TOKEN", token, "TOKEN_STATE", "ACTIVE"))) {
            int tenant = Integer.parseInt(t.get("TENANT_ID"));
            String domain = domainOf(tenant);
            return tenant == SUPER_TENANT || active(tenant(domain)) ? new User(t.get("AUTHZ_USER"), tenant, domain) : null;
        }
        return null;
    }

    List<String> revokedTokens() throws SQLException {
        List<String> out = new ArrayList<>();
        apim.select("IDN_OAUTH2_ACCESS_TOKEN", row("TOKEN_STATE", "REVOKED")).forEach(t -> out.add(t.get("ACCESS_TOKEN")));
        return out;
    }

    void revoke(String token) throws SQLException {
        apim.update("IDN_OAUTH2_ACCESS_TOKEN", row("TOKEN_STATE", "REVOKED"), row("ACCESS_TOKEN", token));
    }

    private static String secret() {
        return UUID.randomUUID().toString().replace("-", "").substring(0, 28);
    }
}
