package standin.si;

import java.io.IOException;
import java.net.ServerSocket;
import java.sql.SQLException;
import java.util.Map;
import standin.base.Coordination;
import standin.base.Json;
import standin.base.Lines;
import standin.base.Log;
import standin.base.Node;
import standin.base.Tree;

/** The link between the pair: the passive node listens and writes its address beside its row, the active node dials it. */
final class EventSync {
    private static final String LOGGER = "org.wso2.carbon.streaming.integrator.core.ha.HAManager";

    private final String bindHost;
    private final int bindPort;
    private final String advertisedHost;
    private final int advertisedPort;
    private final String node;
    private final Apps apps;
    private ServerSocket server;
    private volatile Lines peer;
    private volatile boolean fed;
    private volatile long lastSync;
    private volatile boolean dialling;

    EventSync(Tree config, String node, Apps apps) {
        this.bindHost = config.text("eventSyncServer.host", "localhost");
        this.bindPort = config.number("eventSyncServer.port", 9893);
        this.advertisedHost = config.text("eventSyncServer.advertisedHost", bindHost);
        this.advertisedPort = config.number("eventSyncServer.advertisedPort", bindPort);
        this.node = node;
        this.apps = apps;
    }

    /** What goes into the property column of this node's row. */
    String address() {
        return Json.write(Map.of("host", advertisedHost, "port", advertisedPort));
    }

    boolean inSync() {
        return peer != null || fed && System.currentTimeMillis() - lastSync < 10_000;
    }

    long lastSync() {
        return lastSync;
    }

    // ---- passive -------------------------------------------------------------------------------------------------

    synchronized void listen() {
        dialling = false;
        try {
            server = Lines.listen(bindHost, bindPort, null, this::feed);
            Log.info("org.wso2.carbon.streaming.integrator.core.ha.transport.EventSyncServer", "EventSyncServer started in " + bindHost + ":" + bindPort);
        } catch (IOException e) {
            Log.error("org.wso2.carbon.streaming.integrator.core.ha.transport.EventSyncServer", "Error while starting the event sync server on " + bindHost
                    + ":" + bindPort + ": " + e.getMessage());
        }
    }

    private void feed(Lines active) throws IOException {
        try {
            for (String line = active.read(); line != null; line = active.read()) {
                String[] word = line.split(" ", 3);
                fed = true;
                lastSync = System.currentTimeMillis();
                if (word[0].equals("STATE") && word.length == 3) {
                    SiddhiApp app = apps.named(word[1]);
                    if (app != null) {
                        app.events.set(Long.parseLong(word[2]));
                    }
                }
                active.write("OK");
            }
        } finally {
            fed = false;
        }
    }

    // ---- active --------------------------------------------------------------------------------------------------

    synchronized void dial(Coordination coordination) {
        if (server != null) {
            try {
                server.close();
            } catch (IOException e) {
                Log.warn(LOGGER, "The event sync server could not be closed: " + e.getMessage());
            }
            server = null;
        }
        fed = false;
        dialling = true;
        Node.daemon("event-sync", () -> keepDialling(coordination));
    }

    private void keepDialling(Coordination coordination) {
        while (dialling) {
            String where = "unknown";
            try {
                Map<String, Object> passive = passiveDetails(coordination);
                if (passive != null) {
                    where = passive.get("host") + ":" + passive.get("port");
                    Log.info(LOGGER, "Active node retrieved node details of passive node: " + where);
                    try (Lines l = Lines.connect(String.valueOf(passive.get("host")), ((Long) passive.get("port")).intValue(), null, 10_000)) {
                        exchange(l, "HELLO " + node);
                        apps.all().forEach(a -> tell(l, a));
                        peer = l;
                        while (dialling) {
                            exchange(l, "PING");
                            lastSync = System.currentTimeMillis();
                            Node.sleep(2000);
                        }
                    }
                }
            } catch (IOException | SQLException e) {
                Log.error(LOGGER, "Error in connecting to the passive node at " + where + " for event sync: " + e.getMessage());
            }
            peer = null;
            Node.sleep(3000);
        }
    }

    private Map<String, Object> passiveDetails(Coordination coordination) throws SQLException {
        for (Map<String, String> m : coordination.members()) {
            if (!m.get("NODE_ID").equals(node) && m.get("PROPERTY_MAP") != null) {
                return Json.object(m.get("PROPERTY_MAP"));
            }
        }
        return null;
    }

    void event(SiddhiApp app) {
        Lines l = peer;
        if (l != null) {
            tell(l, app);
        }
    }

    private void tell(Lines l, SiddhiApp app) {
        try {
            exchange(l, "STATE " + app.name + " " + app.events.get());
        } catch (IOException e) {
            peer = null;
        }
    }

    private static synchronized void exchange(Lines l, String line) throws IOException {
        l.ask(line);
    }
}
