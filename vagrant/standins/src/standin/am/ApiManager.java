package standin.am;

import java.io.File;
import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.security.GeneralSecurityException;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import javax.net.ssl.SSLContext;
import standin.base.Database;
import standin.base.Fault;
import standin.base.Json;
import standin.base.LocalStore;
import standin.base.Log;
import standin.base.Node;
import standin.base.Store;
import standin.base.Tls;
import standin.base.Toml;
import standin.base.Web;
import standin.base.WebSockets;

/** The stand-in for WSO2 API Manager: boots in the product's order and refuses what the product refuses. */
public final class ApiManager {
    private static final String CORE = "org.wso2.carbon.core.internal.StartupFinalizerServiceComponent";
    private static final long STOP_MILLIS = 60_000;

    /** A start that cannot go on; `exit` tells whether the JVM ends or stays alive without ever serving. */
    private static final class Refused extends Exception {
        final boolean exit;

        Refused(boolean exit) {
            this.exit = exit;
        }
    }

    private AmConfig config;
    private SSLContext tls;
    private SSLContext trust;
    private Tls primary;
    private AmData data;
    private Broker broker;
    private Gateway gateway;
    private Jms.Publisher own;
    private DataPublisher publisher;
    private DataPublisher throttling;
    private Jms.Listener listener;
    private Jms.Listener decisions;
    private final Map<String, Long> heard = new ConcurrentHashMap<>();
    private final AtomicLong decisionsHeard = new AtomicLong();
    private boolean halfStarted;

    private ApiManager() {
    }

    public static void main(String[] args) throws IOException {
        for (String a : args) {
            if (a.startsWith("-D") && a.contains("=")) {
                System.setProperty(a.substring(2, a.indexOf('=')), a.substring(a.indexOf('=') + 1));
            }
        }
        Log.open(Log.Style.CARBON4, Node.file("repository/logs/wso2carbon.log"), Node.file("repository/logs/http_access_.log"));
        try {
            new ApiManager().boot();
        } catch (Refused r) {
            if (r.exit) {
                System.exit(1);
            }
            Node.daemon("waiting", () -> {
                while (true) {
                    Log.warn("org.wso2.carbon.core.internal.CarbonCoreServiceComponent", "Waiting for required OSGi services: realm service, registry service");
                    Node.sleep(60_000);
                }
            });
            Node.hang();
        }
    }

    private void boot() throws Refused {
        Log.info("org.wso2.carbon.core.internal.CarbonCoreActivator", "Starting WSO2 Carbon... (this is a stand-in for WSO2 API Manager "
                + Node.version() + ")");
        Log.info("org.wso2.carbon.core.internal.CarbonCoreActivator", "Java Version     : " + System.getProperty("java.version"));
        Log.info("org.wso2.carbon.core.internal.CarbonCoreActivator", "Carbon Home      : " + Node.home());
        Runtime.getRuntime().addShutdownHook(new Thread(this::stop, "shutdown"));
        Fault.refuseToStart("org.wso2.carbon.core.internal.CarbonCoreActivator");
        readConfig();
        openKeyStores();
        Node.pause(1000);
        openDatabases();
        Node.pause(700);
        openEventHub();
        openGateway();
        Node.pause(800);
        openManagement();
        finish();
    }

    private void readConfig() throws Refused {
        File file = Node.file("repository/conf/deployment.toml");
        try {
            config = new AmConfig(Toml.parse(Files.readString(file.toPath())));
        } catch (Toml.Bad | IOException | RuntimeException e) {
            Log.fatal("org.wso2.config.mapper.ConfigParser", "Error while parsing " + file, e);
            throw new Refused(true);
        }
        if (Node.atLeast("4.5") && System.getProperty("profile") != null) {
            Log.warn("org.wso2.carbon.core.internal.CarbonCoreActivator", "-Dprofile is not supported from 4.5 on");
        }
        for (String db : new String[] {"apim_db", "shared_db"}) {
            String p = "database." + db;
            for (String key : new String[] {".url", ".username", ".password"}) {
                String v = config.toml.text(p + key, "");
                if (v.matches("(?s).*(&(?!(amp|lt|gt|quot|apos|#[0-9]+);)|<).*")) {
                    Log.fatal("org.wso2.carbon.ndatasource.core.DataSourceManager", "Error in parsing master-datasources.xml: the value of " + p + key
                            + " is not well-formed XML (a raw '&' or '<'; write &amp;)", null);
                    throw new Refused(true);
                }
            }
        }
    }

    private void openKeyStores() throws Refused {
        String name = "primary";
        try {
            primary = open(name);
            name = "internal";
            open(name);
            name = "tls";
            tls = open(name).server();
            name = "trust store";
            AmConfig.KeyStoreFile t = config.trustStore();
            trust = Tls.client(t.file, t.type, t.password);
            if (primary.certificate().getSubjectX500Principal().getName().contains("CN=localhost")) {
                Log.warn("org.wso2.carbon.server.admin.privilegedaction.ConfigValidation", "The default key store (CN=localhost) is in use");
            }
        } catch (IOException | GeneralSecurityException e) {
            Log.fatal("org.wso2.carbon.core.util.KeyStoreManager", "Error loading the " + name + " key store", e);
            throw new Refused(false);
        }
    }

    private Tls open(String name) throws IOException, GeneralSecurityException {
        AmConfig.KeyStoreFile k = config.keyStore(name);
        return Tls.open(k.file, k.type, k.password, k.alias, k.keyPassword);
    }

    private void openDatabases() throws Refused {
        try {
            Node.requireOwnAddress();
        } catch (UnknownHostException e) {
            Log.fatal("org.wso2.carbon.utils.NetworkUtils", "Failed to get IP address: the host name of this machine does not resolve", e);
            throw new Refused(false);
        }
        try {
            InetAddress.getByName(config.hostname);
        } catch (UnknownHostException e) {
            Log.warn("org.wso2.carbon.utils.NetworkUtils", "server.hostname " + config.hostname + " does not resolve on this machine");
        }
        wrapDrivers();
        if (config.role == AmConfig.Role.GATEWAY && !Node.atLeast("4.7") && config.toml.table("database.shared_db") == null) {
            Log.error("org.wso2.carbon.user.core.internal.Activator", "Cannot start User Manager Core bundle: no data source jdbc/SHARED_DB, [database.shared_db] is missing");
            throw new Refused(false);
        }
        try {
            Store shared = openStore("shared_db", "UM_TENANT", "UM_USER", "REG_CLUSTER_LOCK", "REG_RESOURCE");
            boolean own = config.role != AmConfig.Role.GATEWAY;
            Store apim = !own ? null : openStore("apim_db", "IDN_BASE_TABLE", "IDN_OAUTH_CONSUMER_APPS", "AM_API", "AM_SYSTEM_APPS",
                    "AM_GATEWAY_ENVIRONMENT", "AM_GW_PUBLISHED_API_DETAILS", Node.atLeast("4.5") ? "AM_GOV_RULESET" : "AM_SERVICE_CATALOG");
            data = new AmData(shared, apim);
            if (config.toml.flag("super_admin.create_admin_account", true)) {
                data.seedSuperAdmin(config.adminName(), config.adminPassword());
            }
            if (config.portals()) {
                data.seedSample(config.environments().get(0));
            }
        } catch (SQLException | ReflectiveOperationException | IOException e) {
            Log.error("org.wso2.carbon.user.core.internal.Activator", "Cannot start User Manager Core bundle", e);
            throw new Refused(false);
        }
    }

    /** A JDBC jar in lib becomes a bundle of the same name in dropins. Bundles of jars that are gone stay, and win. */
    private void wrapDrivers() throws Refused {
        File dropins = Node.file("repository/components/dropins");
        File[] jars = Node.file("repository/components/lib").listFiles((d, n) -> n.endsWith(".jar"));
        dropins.mkdirs();
        for (File jar : jars == null ? new File[0] : jars) {
            File bundle = new File(dropins, jar.getName().replaceAll("\\.jar$", "").replaceAll("[-.]", "_") + "_1.0.0.jar");
            try {
                Files.copy(jar.toPath(), bundle.toPath(), StandardCopyOption.REPLACE_EXISTING);
            } catch (IOException e) {
                Log.error("org.wso2.carbon.server.extensions.LibraryFragmentBundleCreator", "Error while converting " + jar, e);
                throw new Refused(false);
            }
        }
    }

    private Store openStore(String name, String... tables) throws SQLException, ReflectiveOperationException, IOException {
        String p = "database." + name + ".";
        String type = config.toml.text(p + "type", "h2");
        String url = config.toml.text(p + "url", null);
        if (type.equals("h2")) {
            Log.warn("org.wso2.carbon.ndatasource.rdbms.RDBMSDataSource", name + " is an embedded H2 database (stand-in: a local file), not for production");
            return new LocalStore(Node.file("repository/database/" + (name.equals("apim_db") ? "WSO2AM_DB" : "WSO2SHARED_DB") + ".mv.db"));
        }
        Map<String, String> drivers = Map.of("mysql", "com.mysql.jdbc.Driver", "mariadb", "org.mariadb.jdbc.Driver", "postgre",
                "org.postgresql.Driver", "mssql", "com.microsoft.sqlserver.jdbc.SQLServerDriver", "oracle", "oracle.jdbc.OracleDriver");
        if (url == null) {
            url = "jdbc:" + (type.equals("postgre") ? "postgresql" : type) + "://" + config.toml.text(p + "hostname", "localhost") + ":"
                    + config.toml.text(p + "port", type.equals("postgre") ? "5432" : "3306") + "/" + config.toml.text(p + "name", "");
        }
        Database db = Database.open(Database.jars("repository/components/dropins", "repository/components/lib"),
                config.toml.text(p + "driver", drivers.getOrDefault(type, "no driver for type " + type)), url.replace("&amp;", "&"),
                xml(config.toml.text(p + "username", "wso2carbon")), xml(config.toml.text(p + "password", "wso2carbon")),
                config.toml.number(p + "pool_options.maxActive", 50), config.toml.number(p + "pool_options.maxWait", 60_000));
        for (String table : tables) {
            db.require(table);
        }
        return db;
    }

    private static String xml(String s) {
        return s.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&");
    }

    /** Internal logins are checked against the user store, so a password that is only in the toml does not work. */
    private boolean mayLogIn(String user, String password) {
        try {
            return data.login(user, password) != null;
        } catch (SQLException e) {
            Log.error("org.wso2.carbon.user.core.common.AbstractUserStoreManager", "Error while authenticating " + user, e);
            return false;
        }
    }

    private interface Opening {
        void open() throws IOException;
    }

    /** A port that is taken leaves the node half started, as in the product. */
    private void bind(String what, int port, Opening opening) {
        try {
            opening.open();
        } catch (BindException e) {
            halfStarted = true;
            Log.error("org.apache.synapse.transport.passthru.core.PassThroughListeningIOReactorManager",
                    "Error while starting " + what + ": java.net.BindException: Address already in use: 0.0.0.0:" + port);
        } catch (IOException e) {
            halfStarted = true;
            Log.error("org.wso2.carbon.core.transports", "Error while starting " + what + " on port " + port, e);
        }
    }

    private void openEventHub() {
        String[] login = config.brokerLogin();
        if (config.broker()) {
            int o = config.offset;
            bind("the broker", 5672 + o, () -> broker = new Broker(5672 + o, this::mayLogIn));
            own = new Jms.Publisher(config.toml.has("apim.event_hub.event_listening_endpoints") && config.portals() ? config.listeningEndpoints()
                    : config.decisionEndpoints(), login);
            bind("the data receiver", 9611 + o, () -> new DataReceiver(9611 + o, 9711 + o, tls, this::mayLogIn, this::process));
        }
        if (config.portals()) {
            publisher = new DataPublisher(config.eventGroups(), config.login(config.hasEventGroups() ? "event_hub" : "throttling"), trust);
        }
        if (config.publishesThrottling() && config.gateway()) {
            throttling = publisher != null && !config.hasEventGroups() ? publisher
                    : new DataPublisher(config.throttlingGroups(), config.login("throttling"), trust);
        }
    }

    /** The stream engine of this node: its own broker gets every event, the brokers of its peers copies of some. */
    private void process(String stream, String text) {
        own.publish(stream, text);
        for (String url : config.duplicateUrls(stream)) {
            new Jms.Publisher(List.of(url), config.brokerLogin()).publish(stream, text);
        }
    }

    private void openGateway() {
        gateway = new Gateway(config, trust, new Tenants(config.toml.text("tenant_mgt.eager_loading_tenants", ""), data));
        if (!config.gateway()) {
            return;
        }
        int o = config.offset;
        bind("the pass-through HTTP listener", 8280 + o, () -> Web.listen(null, 8280 + o, null, 16, gateway::serve));
        bind("the pass-through HTTPS listener", 8243 + o, () -> Web.listen(null, 8243 + o, tls, 16, gateway::serve));
        Log.info("org.apache.synapse.transport.passthru.core.PassThroughListeningIOReactorManager", "Pass-through HTTP and HTTPS listeners started on 0.0.0.0:"
                + (8280 + o) + " and 0.0.0.0:" + (8243 + o));
        bind("the WebSocket listener", 9099 + o, () -> WebSockets.listen(9099 + o, null, gateway::serve, gateway::admits));
        bind("the secure WebSocket listener", 8099 + o, () -> WebSockets.listen(8099 + o, tls, gateway::serve, gateway::admits));
        bind("the WebSub listener", 9021 + o, () -> Web.listen(null, 9021 + o, null, 2, gateway::serve));
        bind("the secure WebSub listener", 8021 + o, () -> Web.listen(null, 8021 + o, tls, 2, gateway::serve));
    }

    private void openManagement() throws Refused {
        Management management;
        try {
            management = new Management(config, data, gateway, primary.certificate(), this::announce);
        } catch (GeneralSecurityException e) {
            throw new Refused(false);
        }
        Web.Handler handler = call -> {
            if (call.path().equals("/standin/state")) {
                call.json(200, state());
            } else if (call.is("POST", "/standin/event") && own != null) {
                process(call.query("topic", "throttleData"), call.bodyText().replace('\n', ' '));
                call.json(200, state());
            } else {
                management.serve(call);
            }
        };
        try {
            Web.listen(null, config.httpPort(), null, 8, handler);
            Web.listen(null, config.httpsPort(), tls, 12, handler);
            Node.writePid("wso2carbon.pid");
        } catch (IOException e) {
            Log.fatal("org.wso2.carbon.tomcat.internal.CarbonTomcat", "Error while starting the servlet transports on " + config.httpPort() + " and "
                    + config.httpsPort() + ": java.net.BindException: Address already in use", e);
            throw new Refused(true);
        }
    }

    /** Revocations are told to the stream engine of this node alone, everything else to all receivers of the url groups. */
    private void announce(String stream, Map<String, Object> event) {
        if (stream.equals("tokenRevocation")) {
            process(stream, Json.write(event));
        } else {
            publisher.publish(stream, Json.write(event));
        }
    }

    private Map<String, Object> state() {
        return Json.map("standIn", true, "node", Node.name(), "version", Node.version(), "role", config.role.toString(),
                "inferred", config.inferred().toString(), "halfStarted", halfStarted,
                "ready", gateway.ready(), "apis", gateway.contexts(), "listeningTo", listener == null ? null : listener.connectedTo(),
                "decisionsFrom", decisions == null ? null : decisions.connectedTo(), "heard", heard, "decisionsHeard", decisionsHeard.get(),
                "publishingTo", publisher == null ? List.of() : publisher.state(), "throttlingTo", throttling == null ? List.of() : throttling.state(),
                "brokerSubscribers", broker == null ? 0 : broker.subscriberCount());
    }

    private void finish() {
        Log.info(CORE, "Server           :  WSO2 API Manager-" + Node.version());
        Log.info(CORE, "WSO2 Carbon started in " + (System.currentTimeMillis() - Node.BORN) / 1000 + " sec");
        Log.info("org.wso2.carbon.ui.internal.CarbonUIServiceComponent", "Mgt Console URL  : " + config.publicBase() + "/carbon/");
        if (config.portals()) {
            Log.info("org.wso2.carbon.ui.internal.CarbonUIServiceComponent", "API Publisher Default Context : " + config.publicBase() + "/publisher");
            Log.info("org.wso2.carbon.ui.internal.CarbonUIServiceComponent", "API Developer Portal Default Context : " + config.publicBase() + "/devportal");
        }
        listener = new Jms.Listener(Jms.TOPICS, config.listeningEndpoints(), config.brokerLogin(), this::received, gateway::refresh);
        if (config.gateway() && config.hearsDecisions()) {
            decisions = new Jms.Listener(Jms.DECISIONS, config.decisionEndpoints(), config.brokerLogin(), (t, text) -> decisionsHeard.incrementAndGet(), () -> { });
        }
        if (config.gateway()) {
            Node.pause(2500);
            gateway.loadAll();
        }
        Node.hang();
    }

    private void received(String topic, String text) {
        heard.merge(topic, 1L, Long::sum);
        if (topic.equals("notification") && config.gateway()) {
            gateway.notified(text);
        } else if (topic.equals("tokenRevocation")) {
            gateway.revoked(text);
        }
    }

    private void stop() {
        Log.info("org.wso2.carbon.core.init.CarbonServerManager", "Shutdown hook triggered....");
        Log.info("org.wso2.carbon.core.init.CarbonServerManager", "Gracefully shutting down WSO2 API Manager (stand-in)...");
        boolean clean = Web.drain(STOP_MILLIS);
        Log.info("org.wso2.carbon.core.init.CarbonServerManager", clean ? "All running requests have ended" : "Some requests did not end in time");
        closeWebSockets();
        Log.info("org.wso2.carbon.core.init.CarbonServerManager", "Shutdown complete");
        Log.info("org.wso2.carbon.core.init.CarbonServerManager", "Halting JVM");
    }

    /** Inbound endpoints go with the mediation engine, after the transports have become quiet: until then WebSockets are served as ever. */
    private void closeWebSockets() {
        int open = WebSockets.open();
        try {
            boolean clean = WebSockets.goAway();
            if (open > 0) {
                Log.info("org.wso2.carbon.inbound.endpoint.protocol.websocket.management.WebsocketEndpointManager",
                        open + (clean ? " WebSockets were closed" : " WebSockets were to be closed, and some did not end in time"));
            }
        } catch (IOException e) {
            Log.error("org.apache.synapse.inbound.InboundEndpoint", "Unable to destroy Inbound endpoint", e);
        }
    }
}
