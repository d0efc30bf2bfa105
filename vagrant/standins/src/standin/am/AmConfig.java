package standin.am;

import java.io.File;
import java.util.ArrayList;
import java.util.List;
import standin.base.Node;
import standin.base.Tree;

/** deployment.toml of API Manager with its defaults and inferred values. */
final class AmConfig {
    /** Which components run here; decided by the pack and, up to 4.4, by `-Dprofile`. */
    enum Role { ALL_IN_ONE, CONTROL_PLANE, GATEWAY, TRAFFIC_MANAGER }

    /** A group of traffic managers that gets every event once. */
    static final class UrlGroup {
        final List<String> receivers;
        final List<String> logins;
        final boolean spread;

        UrlGroup(List<String> receivers, List<String> logins, boolean spread) {
            this.receivers = receivers;
            this.logins = logins;
            this.spread = spread;
        }
    }

    static final class KeyStoreFile {
        final File file;
        final String type;
        final String password;
        final String alias;
        final String keyPassword;

        KeyStoreFile(File file, String type, String password, String alias, String keyPassword) {
            this.file = file;
            this.type = type;
            this.password = password;
            this.alias = alias;
            this.keyPassword = keyPassword;
        }
    }

    final Tree toml;
    final Role role;
    final int offset;
    final String hostname;

    AmConfig(Tree toml) {
        this.toml = toml;
        this.role = role();
        this.offset = Integer.parseInt(System.getProperty("portOffset", toml.text("server.offset", "0")));
        this.hostname = toml.text("server.hostname", "localhost");
        toml.know("admin.username", adminName());
        toml.know("admin.password", adminPassword());
        toml.know("carbon.protocol", "https");
        toml.know("carbon.host", hostname);
        toml.know("carbon.management.port", String.valueOf(httpsPort()));
        toml.know("mgt.transport.https.port", String.valueOf(httpsPort()));
        toml.know("mgt.transport.http.port", String.valueOf(httpPort()));
        toml.know("https.nio.port", String.valueOf(8243 + offset));
        toml.know("http.nio.port", String.valueOf(8280 + offset));
    }

    private static Role role() {
        switch (System.getProperty("standin.component", "all-in-one") + ":" + System.getProperty("profile", "")) {
            case "control-plane:":
            case "all-in-one:control-plane": return Role.CONTROL_PLANE;
            case "gateway:":
            case "all-in-one:gateway-worker": return Role.GATEWAY;
            case "traffic-manager:":
            case "all-in-one:traffic-manager": return Role.TRAFFIC_MANAGER;
            default: return Role.ALL_IN_ONE;
        }
    }

    /**
     * The role whose settings server_role brings along. The component packs from 4.5 on know "default" alone; a role that
     * a pack does not know brings nothing, silently, and what is left is what an all-in-one has.
     */
    Role inferred() {
        String wanted = toml.text("server.server_role", "default");
        if (!System.getProperty("standin.component", "all-in-one").equals("all-in-one")) {
            return wanted.equals("default") ? role : Role.ALL_IN_ONE;
        }
        switch (wanted) {
            case "control-plane": return Role.CONTROL_PLANE;
            case "gateway-worker": return Role.GATEWAY;
            case "traffic-manager": return Role.TRAFFIC_MANAGER;
            default: return Role.ALL_IN_ONE;
        }
    }

    private boolean inferred(String key) {
        return toml.flag(key, inferred() == Role.ALL_IN_ONE || inferred() == Role.GATEWAY);
    }

    boolean publishesThrottling() {
        return inferred("apim.throttling.enable_data_publishing");
    }

    boolean hearsDecisions() {
        return inferred("apim.throttling.enable_decision_connection");
    }

    /** Does the gateway of this node, if it has one, fetch APIs? */
    boolean pullsArtifacts() {
        return gateway() && toml.flag("apim.sync_runtime_artifacts.gateway.enable", inferred() != Role.CONTROL_PLANE);
    }

    /** The tenants that a gateway asks the control plane for instead of a database; null where there is no such thing. */
    String loadedTenants() {
        String p = "apim.sync_runtime_artifacts.tenant_loading.";
        boolean on = role == Role.GATEWAY && Node.atLeast("4.6") && toml.flag(p + "enable", Node.atLeast("4.7"));
        return on ? toml.text(p + "tenants", "*") : null;
    }

    boolean portals() {
        return role == Role.ALL_IN_ONE || role == Role.CONTROL_PLANE;
    }

    boolean gateway() {
        return role == Role.ALL_IN_ONE || role == Role.GATEWAY;
    }

    boolean broker() {
        return role != Role.GATEWAY;
    }

    String adminName() {
        return toml.text("super_admin.username", "admin");
    }

    String adminPassword() {
        return toml.text("super_admin.password", "admin");
    }

    int httpsPort() {
        return toml.number("transport.https.properties.port", 9443 + offset);
    }

    int httpPort() {
        return toml.number("transport.http.properties.port", 9763 + offset);
    }

    /** What the outside calls this node: host name and, unless it is 443, the port. */
    String publicBase() {
        int port = toml.number("transport.https.properties.proxyPort", httpsPort());
        return "https://" + hostname + (port == 443 ? "" : ":" + port);
    }

    String ownBroker() {
        return "tcp://localhost:" + (5672 + offset);
    }

    List<String> decisionEndpoints() {
        List<String> l = toml.list("apim.throttling.throttle_decision_endpoints");
        return l == null ? List.of(ownBroker()) : l;
    }

    List<String> listeningEndpoints() {
        List<String> l = toml.list("apim.event_hub.event_listening_endpoints");
        return l == null ? decisionEndpoints() : l;
    }

    /** The brokers that get a copy of this stream's events. Decisions have a list of their own, revocations fall back to it. */
    List<String> duplicateUrls(String stream) {
        List<String> decisions = toml.list("apim.throttling.event_duplicate_url");
        List<String> events = toml.list("apim.event_hub.event_duplicate_url");
        List<String> out = stream.equals("throttleData") || events == null ? decisions : events;
        return out == null || !stream.matches("throttleData|tokenRevocation") ? List.of() : out;
    }

    /** Where events for gateways go. */
    List<UrlGroup> eventGroups() {
        List<UrlGroup> out = groups("apim.event_hub.publish.url_group", "urls", "auth_urls");
        return out.isEmpty() ? throttlingGroups() : out;
    }

    boolean hasEventGroups() {
        return !toml.tables("apim.event_hub.publish.url_group").isEmpty();
    }

    /** Where a gateway reports calls to. */
    List<UrlGroup> throttlingGroups() {
        List<UrlGroup> out = groups("apim.throttling.url_group", "traffic_manager_urls", "traffic_manager_auth_urls");
        if (out.isEmpty()) {
            out.add(new UrlGroup(List.of("tcp://localhost:" + (9611 + offset)), List.of("ssl://localhost:" + (9711 + offset)), false));
        }
        return out;
    }

    private List<UrlGroup> groups(String path, String urls, String authUrls) {
        List<UrlGroup> out = new ArrayList<>();
        for (Tree t : toml.tables(path)) {
            List<String> receivers = t.list(urls), logins = t.list(authUrls);
            out.add(new UrlGroup(receivers == null ? List.of() : receivers, logins == null ? List.of() : logins,
                    "loadbalance".equals(t.text("type", ""))));
        }
        return out;
    }

    /** Name and password for one of "event_hub", "throttling", "key_manager"; the super admin unless the toml says otherwise. */
    String[] login(String area) {
        return new String[] {toml.text("apim." + area + ".username", adminName()), toml.text("apim." + area + ".password", adminPassword())};
    }

    String[] brokerLogin() {
        String[] plain = login("event_hub");
        return new String[] {toml.text("apim.event_hub.jms.username", plain[0]), toml.text("apim.event_hub.jms.password", plain[1])};
    }

    /** Where artifacts are pulled from. */
    String internalData() {
        String services = toml.text("apim.event_hub.service_url", "https://localhost:" + httpsPort() + "/services/");
        return services.replaceAll("/services/?$", "") + "/internal/data/v1";
    }

    List<String> gatewayLabels() {
        List<String> l = toml.list("apim.sync_runtime_artifacts.gateway.gateway_labels");
        return l == null ? List.of("Default") : l;
    }

    List<String> environments() {
        List<String> out = new ArrayList<>();
        for (Tree t : toml.tables("apim.gateway.environment")) {
            out.add(t.text("name", "Default"));
        }
        return out.isEmpty() ? List.of("Default") : out;
    }

    KeyStoreFile keyStore(String name) {
        String inherited = "primary".equals(name) ? null : "primary";
        String p = toml.table("keystore." + name) != null || inherited == null ? "keystore." + name : "keystore." + inherited;
        String password = toml.text(p + ".password", "wso2carbon");
        return new KeyStoreFile(security(toml.text(p + ".file_name", "wso2carbon.jks")), toml.text(p + ".type", "JKS"), password,
                toml.text(p + ".alias", "wso2carbon"), toml.text(p + ".key_password", password));
    }

    KeyStoreFile trustStore() {
        return new KeyStoreFile(security(toml.text("truststore.file_name", "client-truststore.jks")), toml.text("truststore.type", "JKS"),
                toml.text("truststore.password", "wso2carbon"), null, null);
    }

    private static File security(String name) {
        File f = new File(name);
        return f.isAbsolute() ? f : Node.file("repository/resources/security/" + name);
    }
}
