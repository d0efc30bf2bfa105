package standin.mi;

import java.io.IOException;
import java.net.BindException;
import java.nio.file.Files;
import java.security.GeneralSecurityException;
import java.sql.SQLException;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import standin.base.Call;
import standin.base.Coordination;
import standin.base.Database;
import standin.base.Fault;
import standin.base.Json;
import standin.base.Log;
import standin.base.Node;
import standin.base.Tls;
import standin.base.Toml;
import standin.base.Tree;
import standin.base.Web;

/** The stand-in for WSO2 Micro Integrator. */
public final class MicroIntegrator {
    private static final String CLUSTER = "org.wso2.micro.integrator.coordination.RDBMSCoordinationStrategy";
    private static final String SERVER = "org.wso2.micro.core.ServerManager";

    private final Tree toml;
    private final int offset;
    private final Tasks tasks = new Tasks();
    private SSLContext tls;
    private SSLContext trust;
    private Coordination coordination;

    private MicroIntegrator(Tree toml) {
        this.toml = toml;
        this.offset = Integer.parseInt(System.getProperty("portOffset", toml.text("server.offset", "10")));
    }

    public static void main(String[] args) throws IOException {
        for (String a : args) {
            if (a.startsWith("-D") && a.contains("=")) {
                System.setProperty(a.substring(2, a.indexOf('=')), a.substring(a.indexOf('=') + 1));
            }
        }
        Log.open(Log.Style.SHORT_NAMES, Node.file("repository/logs/wso2carbon.log"), Node.file("repository/logs/http_access.log"));
        Log.info("org.wso2.micro.integrator.core.CarbonCoreActivator", "Starting WSO2 Micro Integrator... (this is a stand-in for version " + Node.version() + ")");
        Fault.refuseToStart("org.wso2.micro.integrator.core.CarbonCoreActivator");
        Tree toml;
        try {
            toml = Toml.parse(Files.readString(Node.file("conf/deployment.toml").toPath()));
        } catch (Toml.Bad | IOException | RuntimeException e) {
            Log.fatal("org.wso2.config.mapper.ConfigParser", "Error while parsing conf/deployment.toml", e);
            System.exit(1);
            return;
        }
        new MicroIntegrator(toml).boot();
    }

    private void boot() throws IOException {
        Runtime.getRuntime().addShutdownHook(new Thread(this::stop, "shutdown"));
        try {
            openKeyStores();
        } catch (IOException | GeneralSecurityException e) {
            Log.fatal("org.wso2.micro.integrator.security.KeyStoreManager", "Error loading a key store", e);
            System.exit(1);
        }
        Node.pause(1000);
        if (!joinCluster()) {
            // The task service never comes, and what waits for it waits for ever: no listeners, no started line, a live JVM.
            Node.hang();
            return;
        }
        Node.pause(600);
        Tree catalog = toml.tables("service_catalog").stream().findFirst().orElse(null);
        ServiceCatalog publisher = catalog == null || !catalog.flag("enable", true) ? null
                : new ServiceCatalog(catalog, trust, toml.text("server.hostname", "localhost"), 8243 + offset);
        Deployment deployment = new Deployment(app -> {
            app.of("synapse/task").forEach(t -> tasks.add(t.name, interval(t.content)));
            if (publisher != null) {
                publisher.publish(app);
            }
        });
        deployment.scan();
        tasks.start();
        Node.pause(600);
        listen(deployment);
        Node.writePid("wso2carbon.pid");
        Log.info("org.wso2.micro.integrator.initializer.StartupFinalizer", "WSO2 Micro Integrator started in "
                + (System.currentTimeMillis() - Node.BORN) / 1000.0 + " seconds");
        if (toml.flag("server.hot_deployment", true)) {
            deployment.keepScanning();
        }
        Node.hang();
    }

    /** Seconds between two runs of a task; a trigger without an interval (cron, once) counts as ten. */
    private static long interval(String task) {
        Matcher m = Pattern.compile("<(?:\\w+:)?trigger[^>]*\\sinterval=\"(\\d+)\"").matcher(task);
        return m.find() ? Math.max(1, Long.parseLong(m.group(1))) : 10;
    }

    private void openKeyStores() throws IOException, GeneralSecurityException {
        String k = "keystore.primary.", t = "truststore.";
        String password = toml.text(k + "password", "wso2carbon");
        tls = Tls.open(Node.file(toml.text(k + "file_name", "repository/resources/security/wso2carbon.jks")), toml.text(k + "type", "JKS"), password,
                toml.text(k + "alias", "wso2carbon"), toml.text(k + "key_password", password)).server();
        trust = Tls.client(Node.file(toml.text(t + "file_name", "repository/resources/security/client-truststore.jks")), toml.text(t + "type", "JKS"),
                toml.text(t + "password", "wso2carbon"));
    }

    /** Reads a value as the product does: JVM property, then environment variable, then the file's or the default. */
    private static String setting(String name, String otherwise) {
        String v = System.getProperty(name, System.getenv(name));
        return v == null ? otherwise : v;
    }

    /** False when this node will never get further. */
    private boolean joinCluster() {
        Tree source = null;
        for (Tree d : toml.tables("datasource")) {
            if ("WSO2_COORDINATION_DB".equals(d.text("id", ""))) {
                source = d;
            }
        }
        if (source == null) {
            return true;
        }
        String node = setting("nodeId", toml.text("cluster_config.node_id", UUID.randomUUID().toString()));
        Log.info("org.wso2.micro.integrator.ntask.core.internal.TasksDSComponent", "Initializing task coordination.");
        try {
            String url = source.text("url", "");
            if (url.matches(".*&(?!(amp|lt|gt|quot|apos);).*")) {
                throw new SQLException("the JDBC URL is not well-formed XML: a raw '&' (write &amp;)");
            }
            Database db = Database.open(Database.jars("lib"), source.text("driver", "no driver given"), url.replace("&amp;", "&"),
                    source.text("username", ""), source.text("password", ""), source.number("pool_options.maxActive", 50),
                    source.number("pool_options.maxWait", 60_000));
            db.require("COORDINATED_TASK_TABLE");
            coordination = new Coordination(db, setting("localGroupId", "default"), node, Long.parseLong(setting("heartBeatInterval", "5000")),
                    Integer.parseInt(setting("heartbeatMaxRetry", "3")), null, new Events(node));
            coordination.join(Node.atLeast("4.5") ? Coordination.OnDuplicate.WAIT : Coordination.OnDuplicate.REFUSE);
            tasks.coordinate(db, coordination, node);
            Log.info(CLUSTER, "Successfully joined the cluster with id [" + node + "]");
            coordination.members().forEach(m -> {
                if (!m.get("NODE_ID").equals(node)) {
                    Log.info(CLUSTER, "Connected with node [" + m.get("NODE_ID") + "]");
                }
            });
            return true;
        } catch (SQLException | ReflectiveOperationException | IOException | Coordination.DuplicateNode e) {
            Log.error("org.wso2.micro.integrator.ntask.core.internal.TasksDSComponent", "Error in initializing Tasks component: " + e.getMessage(), e);
            return false;
        }
    }

    private final class Events implements Coordination.Watcher {
        private final String self;
        private String state = "MEMBER";

        Events(String self) {
            this.self = self;
        }

        @Override
        public void leading(boolean leader) {
            String now = leader ? "COORDINATOR" : "MEMBER";
            if (!now.equals(state)) {
                Log.info(CLUSTER, "Current node state changed from: " + state + " to: " + now);
                state = now;
            }
        }

        @Override
        public void added(String node) {
            if (!node.equals(self)) {
                Log.info(CLUSTER, "Member added [" + node + "]");
            }
        }

        @Override
        public void removed(String node) {
            Log.info(CLUSTER, "Member removed [" + node + "]");
        }

        @Override
        public void lost() {
            Log.error(CLUSTER, "Lost connection to the cluster.");
            tasks.pause();
        }

        @Override
        public void rejoined() {
            Log.info(CLUSTER, "Re-joined the cluster successfully.");
        }
    }

    private void listen(Deployment deployment) {
        InternalApi internal = new InternalApi(toml, deployment, tasks);
        int http = toml.number("mediation.internal_http_api_port", 9191 + offset);
        int https = toml.number("mediation.internal_https_api_port", 9154 + offset);
        bind(http, () -> Web.listen(null, http, null, 6, c -> internal.serve(c, false)));
        bind(https, () -> Web.listen(null, https, tls, 6, c -> internal.serve(c, true)));
        bind(8280 + offset, () -> Web.listen(null, 8280 + offset, null, 16, c -> synapse(c, deployment)));
        bind(8243 + offset, () -> Web.listen(null, 8243 + offset, tls, 16, c -> synapse(c, deployment)));
        Log.info("org.apache.synapse.transport.passthru.core.PassThroughListeningIOReactorManager", "Pass-through HTTP Listener started on 0.0.0.0:" + (8280 + offset));
    }

    private interface Opening {
        void open() throws IOException;
    }

    private static void bind(int port, Opening opening) {
        try {
            opening.open();
        } catch (BindException e) {
            Log.error("org.apache.synapse.transport.passthru.core.PassThroughListeningIOReactorManager",
                    "Error while starting the listener: java.net.BindException: Address already in use: 0.0.0.0:" + port);
        } catch (IOException e) {
            Log.error("org.apache.synapse.transport.passthru.core.PassThroughListeningIOReactorManager", "Error while starting the listener on " + port, e);
        }
    }

    private static void synapse(Call call, Deployment deployment) throws IOException {
        String body = deployment.answer(call.path());
        if (body == null) {
            call.send(404, null, new byte[0]);
            return;
        }
        Node.sleep(Long.parseLong(call.query("delay_ms", "0")));
        Object json = Json.parse(body);
        if (json == null) {
            call.text(200, body);
        } else {
            call.json(200, json);
        }
    }

    private void stop() {
        Log.info(SERVER, "Gracefully shutting down WSO2 Micro Integrator (stand-in)...");
        String key = Node.atLeast("4.5") ? "server.graceful_shutdown_timeout" : "transport.http.socket_timeout";
        boolean wait = !"false".equals(System.getProperty("gracefulShutdown"));
        boolean clean = Web.drain(wait ? toml.number(key, 180_000) : 0);
        if (coordination != null) {
            coordination.stop();
        }
        Log.info(SERVER, clean ? "All running requests have ended" : "Some requests did not end in time");
        Log.info(SERVER, "Micro Integrator Shutdown complete");
    }
}
