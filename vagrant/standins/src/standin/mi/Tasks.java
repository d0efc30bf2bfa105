package standin.mi;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import standin.base.Coordination;
import standin.base.Database;
import standin.base.Json;
import standin.base.Log;
import standin.base.Node;

/**
 * Scheduled tasks. Alone, a node runs all of its tasks. In a cluster the leader gives every row of the task table to a
 * live node; rows are keyed by the task's name alone, and the leader deletes those of tasks it does not have itself.
 */
final class Tasks {
    private static final String LOGGER = "org.wso2.micro.integrator.ntask.core.impl.TaskManager";

    /** A task that runs here: how often it has fired since this node began to run it, and when last. */
    private static final class Run {
        final long seconds;
        long fired;
        long last = System.currentTimeMillis();

        Run(long seconds) {
            this.seconds = seconds;
        }
    }

    private final Map<String, Long> names = new ConcurrentHashMap<>();
    private final Map<String, Run> running = new LinkedHashMap<>();
    private Database db;
    private Coordination coordination;
    private String node;

    void coordinate(Database db, Coordination coordination, String node) {
        this.db = db;
        this.coordination = coordination;
        this.node = node;
    }

    List<String> names() {
        return new ArrayList<>(names.keySet());
    }

    void add(String name, long seconds) {
        names.put(name, seconds);
        if (db == null) {
            run(name);
            return;
        }
        try {
            if (db.select("COORDINATED_TASK_TABLE", Json.map("TASK_NAME", name)).isEmpty()) {
                db.insert("COORDINATED_TASK_TABLE", Json.map("TASK_NAME", name, "TASK_STATE", "NONE"));
            }
        } catch (SQLException e) {
            Log.error(LOGGER, "Error while adding the coordinated task " + name, e);
        }
    }

    private synchronized void run(String name) {
        if (!running.containsKey(name)) {
            running.put(name, new Run(names.get(name)));
            Log.info(LOGGER, "Task scheduled: [ESB_TASK][" + name + "]");
        }
    }

    private synchronized void fire() {
        long now = System.currentTimeMillis();
        for (Run r : running.values()) {
            if (now - r.last >= r.seconds * 1000) {
                r.fired++;
                r.last = now;
            }
        }
    }

    /** Which tasks this node has, and which of them it runs. */
    synchronized Map<String, Object> state() {
        Map<String, Object> out = new LinkedHashMap<>();
        for (String name : names.keySet()) {
            Run r = running.get(name);
            out.put(name, Json.map("running", r != null, "fired", r == null ? 0 : r.fired));
        }
        return Json.map("nodeId", node, "leader", coordination != null && coordination.leader(), "tasks", out);
    }

    void start() {
        Node.daemon("tasks", () -> {
            while (true) {
                Node.sleep(500);
                fire();
            }
        });
        if (db == null) {
            return;
        }
        Node.daemon("task-resolver", () -> {
            while (true) {
                Node.sleep(4000);
                try {
                    if (coordination.leader()) {
                        resolve();
                    }
                    takeOwn();
                } catch (SQLException e) {
                    pause();
                }
            }
        });
    }

    private void resolve() throws SQLException {
        Set<String> live = new LinkedHashSet<>();
        for (Map<String, String> m : coordination.members()) {
            live.add(m.get("NODE_ID"));
        }
        String one = live.isEmpty() ? node : new ArrayList<>(live).get(new Random().nextInt(live.size()));
        for (Map<String, String> row : db.select("COORDINATED_TASK_TABLE", Json.map())) {
            Map<String, Object> key = Json.map("TASK_NAME", row.get("TASK_NAME"));
            if (!names.containsKey(row.get("TASK_NAME"))) {
                db.delete("COORDINATED_TASK_TABLE", key);
            } else if (row.get("DESTINED_NODE_ID") == null || !live.contains(row.get("DESTINED_NODE_ID"))) {
                db.update("COORDINATED_TASK_TABLE", Json.map("DESTINED_NODE_ID", one, "TASK_STATE", "NONE"), key);
            }
        }
        for (String name : names.keySet()) {
            if (db.select("COORDINATED_TASK_TABLE", Json.map("TASK_NAME", name)).isEmpty()) {
                db.insert("COORDINATED_TASK_TABLE", Json.map("TASK_NAME", name, "TASK_STATE", "NONE"));
            }
        }
    }

    private void takeOwn() throws SQLException {
        Set<String> mine = new LinkedHashSet<>();
        for (Map<String, String> row : db.select("COORDINATED_TASK_TABLE", Json.map("DESTINED_NODE_ID", node))) {
            if (names.containsKey(row.get("TASK_NAME"))) {
                mine.add(row.get("TASK_NAME"));
                run(row.get("TASK_NAME"));
                db.update("COORDINATED_TASK_TABLE", Json.map("TASK_STATE", "RUNNING"), Json.map("TASK_NAME", row.get("TASK_NAME"), "DESTINED_NODE_ID", node));
            }
        }
        keepOnly(mine);
    }

    private synchronized void keepOnly(Set<String> mine) {
        running.keySet().retainAll(mine);
    }

    /** Without the database nothing that is coordinated may run. */
    void pause() {
        keepOnly(Set.of());
    }
}
