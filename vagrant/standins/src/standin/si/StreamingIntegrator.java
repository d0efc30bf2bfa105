package standin.si;

import java.io.File;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.security.GeneralSecurityException;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Map;
import javax.net.ssl.SSLContext;
import standin.base.Coordination;
import standin.base.Database;
import standin.base.Fault;
import standin.base.Json;
import standin.base.Lines;
import standin.base.Log;
import standin.base.Node;
import standin.base.Services;
import standin.base.Tls;
import standin.base.Tree;
import standin.base.Web;
import standin.base.Yaml;

/** The stand-in for WSO2 Streaming Integrator: one active node with open sources, one passive node that waits. */
public final class StreamingIntegrator {
    private static final String HA = "org.wso2.carbon.streaming.integrator.core.ha.HAManager";
    private static final String KERNEL = "org.wso2.carbon.kernel.internal.CarbonStartupHandler";
    private static final long STOP_MILLIS = 10_000;

    private final Tree yaml;
    private final int offset;
    private final String id;
    private final String name;
    private final boolean ha;
    private final Apps apps = new Apps(this::event);
    private final List<Web> storeApi = new ArrayList<>();
    private final List<ServerSocket> dataBridge = new ArrayList<>();
    private Coordination coordination;
    private EventSync sync;
    private StateStore state;
    private volatile boolean active = true;
    private volatile boolean booted;
    private volatile long lastSnapshot;

    private StreamingIntegrator(Tree yaml) {
        this.yaml = yaml;
        this.offset = yaml.number("wso2.carbon.ports.offset", 0);
        this.id = yaml.text("wso2.carbon.id", "wso2-si");
        this.name = yaml.text("wso2.carbon.name", "WSO2 Streaming Integrator");
        this.ha = yaml.flag("cluster.config.enabled", false) && "ha".equals(yaml.text("deployment.config.type", ""));
    }

    public static void main(String[] args) throws IOException {
        Log.open(Log.Style.CARBON5, Node.file("wso2/server/logs/carbon.log"), Node.file("wso2/server/logs/http_access.log"));
        Log.info("org.wso2.carbon.kernel.internal.CarbonCoreComponent", "Starting WSO2 Streaming Integrator... (this is a stand-in for version " + Node.version() + ")");
        Fault.refuseToStart("org.wso2.carbon.kernel.internal.CarbonCoreComponent");
        Tree yaml;
        try {
            yaml = Yaml.parse(Files.readString(Node.file("conf/server/deployment.yaml").toPath()));
        } catch (Yaml.Bad | IOException | RuntimeException e) {
            Log.error("org.wso2.carbon.config.ConfigProviderFactory", "Error while reading conf/server/deployment.yaml", e);
            System.exit(1);
            return;
        }
        new StreamingIntegrator(yaml).boot();
    }

    private void boot() throws IOException {
        Runtime.getRuntime().addShutdownHook(new Thread(this::stop, "shutdown"));
        checkLib();
        Node.pause(1200);
        try {
            openState();
            joinCluster();
            openCatalog();
        } catch (SQLException | ReflectiveOperationException | IOException | RuntimeException | Coordination.DuplicateNode e) {
            Log.error("org.wso2.carbon.streaming.integrator.core.internal.ServiceComponent", "Error while starting: " + e.getMessage(), e);
            Node.hang();
            return;
        }
        Node.pause(800);
        apps.scan();
        synchronized (this) {
            role(true);
            booted = true;
        }
        openAdmin();
        Node.pause(500);
        Node.writePid("wso2/server/runtime.pid");
        Log.info(KERNEL, name + " started in " + (System.currentTimeMillis() - Node.BORN) / 1000.0 + " sec");
        Node.daemon("persistence", this::keepPersisting);
        long every = yaml.number("wso2.artifact.deployment.updateInterval", 5) * 1000L;
        while (true) {
            Node.sleep(every);
            apps.scan();
        }
    }

    /** Jars that are no bundles are not loaded. */
    private static void checkLib() {
        for (File jar : Database.jars("lib")) {
            if (!InstallJars.isBundle(jar)) {
                Log.error("org.wso2.carbon.launcher.extensions.OSGiLibBundleDeployerUtils", "Required bundle manifest headers do not exist in " + jar.getName()
                        + "; the jar is not loaded");
            }
        }
    }

    private Tree dataSource(String wanted) {
        for (Tree d : yaml.tables("wso2.datasources.dataSources")) {
            if (wanted.equals(d.text("name", ""))) {
                return d.table("definition.configuration");
            }
        }
        throw new IllegalArgumentException("Datasource " + wanted + " is not configured");
    }

    private static boolean embedded(Tree source) {
        return source.text("jdbcUrl", "").startsWith("jdbc:h2:");
    }

    private static boolean postgres(Tree source) {
        return source.text("jdbcUrl", "").startsWith("jdbc:postgresql:");
    }

    private static Database open(Tree source) throws SQLException, ReflectiveOperationException, IOException {
        List<File> bundles = Database.jars("lib");
        bundles.removeIf(jar -> !InstallJars.isBundle(jar));
        return Database.open(bundles, source.text("driverClassName", "no driver given"), source.text("jdbcUrl", ""), source.text("username", ""),
                source.text("password", ""), source.number("maxPoolSize", 10), source.number("validationTimeout", 30_000));
    }

    private void openState() throws SQLException, ReflectiveOperationException, IOException {
        if (!yaml.flag("state.persistence.enabled", false)) {
            if (ha) {
                Log.warn(HA, "Periodic Persistence is Disabled. It is recommended to enable this feature when using 2 Node Minimum HA");
            }
            return;
        }
        int keep = yaml.number("state.persistence.revisionsToKeep", 2);
        if (yaml.text("state.persistence.persistenceStore", "").endsWith("DBPersistenceStore")) {
            Tree source = dataSource(yaml.text("state.persistence.config.datasource", "PERSISTENCE_DB"));
            state = embedded(source) ? StateStore.inFiles("database/PERSISTENCE_DB", keep)
                    : StateStore.inDatabase(open(source), yaml.text("state.persistence.config.table", "PERSISTENCE_TABLE"), postgres(source), keep);
        } else {
            state = StateStore.inFiles(yaml.text("state.persistence.config.location", "siddhi-app-persistence"), keep);
        }
    }

    /** Basic auth with the login of a tenant's user; the trust store is the one that carbon.sh names. */
    private void openCatalog() throws IOException {
        String p = "service.catalog.configs.";
        if (!yaml.flag(p + "enabled", false)) {
            return;
        }
        try {
            apps.publishTo(new Services("org.wso2.carbon.streaming.integrator.core.internal.asyncapi.ServiceCatalogPublisher",
                    "https://" + yaml.text(p + "hostname", "localhost") + ":" + yaml.number(p + "port", 9443), yaml.text(p + "username", ""),
                    yaml.text(p + "password", ""), Tls.client(new File(System.getProperty("javax.net.ssl.trustStore", "")), "JKS",
                            System.getProperty("javax.net.ssl.trustStorePassword", ""))));
        } catch (GeneralSecurityException e) {
            throw new IOException("trust store: " + e.getMessage(), e);
        }
    }

    private void joinCluster() throws SQLException, ReflectiveOperationException, IOException, Coordination.DuplicateNode {
        if (!ha) {
            return;
        }
        Log.info(HA, name + " Starting in Two Node Minimum HA Deployment");
        sync = new EventSync(yaml.table("deployment.config"), id, apps);
        Tree strategy = yaml.table("cluster.config.strategyConfig");
        Tree source = dataSource(strategy == null ? "WSO2_CLUSTER_DB" : strategy.text("datasource", "WSO2_CLUSTER_DB"));
        if (embedded(source)) {
            Log.warn(HA, "WSO2_CLUSTER_DB is an embedded database of this node (stand-in: alone in its own cluster)");
            return;
        }
        Database db = open(source);
        Coordination.createTables(db, postgres(source));
        int interval = strategy.number("heartbeatInterval", 5000), retries = strategy.number("heartbeatMaxRetry", 5);
        if (interval < 5000 || retries < 3) {
            Log.warn("org.wso2.carbon.cluster.coordinator.rdbms.RDBMSCoordinationStrategy", "Heartbeat interval " + interval + " with " + retries
                    + " retries is less than what is recommended (5000, 3)");
        }
        String group = yaml.text("cluster.config.groupId", "si");
        coordination = new Coordination(db, group, id, interval, retries, sync.address(), new Events());
        if (coordination.members().stream().filter(m -> !m.get("NODE_ID").equals(id)).count() >= 2) {
            throw new IllegalStateException("HAModeException: More than two nodes can not be used in the minimum HA mode. Use another clustering mode, "
                    + "change the groupId or disable clustering and retry.");
        }
        coordination.join(Coordination.OnDuplicate.TAKE_OVER);
    }

    private final class Events implements Coordination.Watcher {
        @Override
        public void leading(boolean leader) {
            synchronized (StreamingIntegrator.this) {
                active = leader;
                if (booted) {
                    role(false);
                }
            }
        }

        @Override
        public void added(String node) {
            Log.info(HA, "Member added [" + node + "]");
        }

        @Override
        public void removed(String node) {
            Log.info(HA, "Member removed [" + node + "]");
        }

        @Override
        public void lost() {
            Log.error(HA, "Lost connection to the cluster database");
        }

        @Override
        public void rejoined() {
            Log.info(HA, "Connection to the cluster database is back");
        }
    }

    /** Opens or closes what only the active node may have open. */
    private void role(boolean atBoot) {
        if (ha) {
            Log.info(HA, atBoot ? "HA Deployment: Starting up as " + (active ? "Active" : "Passive") + " Node"
                    : "HA Deployment: This Node is now becoming the " + (active ? "Active" : "Passive") + " Node");
        }
        if (active) {
            if (state != null) {
                apps.all().forEach(state::restore);
            }
            openActiveOnly();
            apps.activate(true);
            if (coordination != null) {
                sync.dial(coordination);
            }
        } else {
            apps.activate(false);
            closeActiveOnly();
            sync.listen();
        }
        if (ha && !atBoot) {
            Log.info(HA, "Successfully Changed to " + (active ? "Active" : "Passive") + " Mode");
        }
    }

    private void openActiveOnly() {
        for (Tree l : yaml.tables("siddhi.stores.query.api.listenerConfigurations")) {
            Web w = listen(l, 7070, 2, call -> call.json(200, Json.map("records", List.of())));
            if (w != null) {
                storeApi.add(w);
            }
        }
        for (Tree r : yaml.tables("databridge.config.dataReceivers")) {
            Tree p = r.table("dataReceiver.properties");
            if (p != null) {
                bridge(p.number("tcpPort", 0), false);
                bridge(p.number("sslPort", 0), true);
            }
        }
    }

    private void bridge(int port, boolean secure) {
        if (port == 0) {
            return;
        }
        try {
            SSLContext tls = !secure ? null : keyStore(yaml.text("databridge.config.keyStoreLocation", "resources/security/wso2carbon.jks"),
                    yaml.text("databridge.config.keyStorePassword", "wso2carbon"), null);
            dataBridge.add(Lines.listen(null, port + offset, tls, peer -> {
                while (peer.read() != null) {
                    peer.write("OK");
                }
            }));
        } catch (IOException | GeneralSecurityException e) {
            Log.error("org.wso2.carbon.databridge.receiver.DataReceiver", "Error while starting the data receiver on " + (port + offset) + ": " + e.getMessage());
        }
    }

    private void closeActiveOnly() {
        storeApi.forEach(Web::close);
        storeApi.clear();
        for (ServerSocket s : dataBridge) {
            try {
                s.close();
            } catch (IOException e) {
                Log.warn("org.wso2.carbon.databridge.receiver.DataReceiver", "A receiver could not be closed: " + e.getMessage());
            }
        }
        dataBridge.clear();
    }

    /** These ports do not follow the offset. */
    private void openAdmin() {
        AdminApi api = new AdminApi(yaml, apps, state, this::statistics);
        for (Tree l : yaml.tables("wso2.transport.http.listenerConfigurations")) {
            listen(l, 9090, 6, api::serve);
        }
    }

    private static Web listen(Tree l, int otherwise, int threads, Web.Handler handler) {
        int port = l.number("port", otherwise);
        try {
            SSLContext tls = !"https".equals(l.text("scheme", "http")) ? null
                    : keyStore(l.text("keyStoreFile", ""), l.text("keyStorePassword", ""), l.text("certPass", null));
            Web w = Web.listen(l.text("host", "0.0.0.0"), port, tls, threads, handler);
            Log.info("org.wso2.transport.http.netty.contractimpl.listener.ServerConnectorBootstrap", "HTTP(S) Interface starting on host " + l.text("host", "0.0.0.0")
                    + " and port " + port);
            return w;
        } catch (IOException | GeneralSecurityException e) {
            Log.error("org.wso2.transport.http.netty.contractimpl.listener.ServerConnectorBootstrap", "Error while starting the HTTP(S) interface on port " + port + ": "
                    + e.getMessage());
            return null;
        }
    }

    private static SSLContext keyStore(String file, String password, String keyPassword) throws IOException, GeneralSecurityException {
        return Tls.open(Node.file(file), "JKS", password, "wso2carbon", keyPassword == null ? password : keyPassword).server();
    }

    private void event(SiddhiApp app) {
        if (sync != null) {
            sync.event(app);
        }
    }

    /** Only the active node saves. Nothing is saved at a stop. */
    private void keepPersisting() {
        long every = yaml.number("state.persistence.intervalInMin", 1) * 60_000L;
        while (state != null) {
            Node.sleep(every);
            if (active) {
                apps.all().forEach(state::save);
                lastSnapshot = System.currentTimeMillis();
            }
        }
    }

    private Map<String, Object> statistics() {
        Map<String, Object> s = Json.map("standIn", true, "nodeID", id, "node", Node.name(), "version", Node.version(), "runningStatus", "Reachable");
        if (ha) {
            s.putAll(Json.map("clusterID", yaml.text("cluster.config.groupId", "si"), "haStatus", active ? "Active" : "Passive", "isInSync", sync.inSync(),
                    "lastSyncTime", sync.lastSync() == 0 ? "n/a" : new Date(sync.lastSync()).toString(),
                    "lastSnapshotTime", lastSnapshot == 0 ? "n/a" : new Date(lastSnapshot).toString()));
        } else {
            s.put("clusterID", "Non Clusters");
        }
        Runtime r = Runtime.getRuntime();
        long events = apps.all().stream().mapToLong(a -> a.events.get()).sum();
        s.putAll(Json.map("siddhiApps", Json.map("active", apps.all().size(), "inactive", apps.failed().size()), "events", events, "isStatsEnabled", false,
                "workerMetrics", Json.map("memoryUsage", (r.totalMemory() - r.freeMemory()) * 100 / r.maxMemory()), "osName", System.getProperty("os.name")));
        return s;
    }

    private void stop() {
        Log.info("org.wso2.carbon.kernel.internal.CarbonCoreComponent", "Shutting down " + name + " (stand-in), OSGi runtime");
        Web.drain(STOP_MILLIS);
        if (coordination != null) {
            coordination.stop();
        }
        Log.info("org.wso2.carbon.kernel.internal.CarbonCoreComponent", "Shutdown complete");
    }
}
