package standin.base;

import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Membership and leadership through four database tables, as MI and SI do it: every node writes its own wall clock as
 * heartbeat and judges the others' rows with its own clock. Events are fetched by node id alone, without the group.
 */
public final class Coordination {
    public static final class DuplicateNode extends Exception {
        DuplicateNode(String node) {
            super("Node with id " + node + " already exists in cluster");
        }
    }

    public interface Watcher {
        void leading(boolean leader);

        void added(String node);

        void removed(String node);

        void lost();

        void rejoined();
    }

    public enum OnDuplicate { REFUSE, WAIT, TAKE_OVER }

    private static final int ADDED = 1;
    private static final int REMOVED = 2;

    private final Database db;
    private final String group;
    private final String node;
    private final long interval;
    private final long window;
    private final String properties;
    private final Watcher watcher;
    private volatile boolean leader;
    private boolean decided;
    private volatile Thread loop;

    /** `properties` is what SI keeps beside its row (where the peer reaches it); null for MI, whose tables have no such column. */
    public Coordination(Database db, String group, String node, long interval, int retries, String properties, Watcher watcher) {
        this.db = db;
        this.group = group;
        this.node = node;
        this.interval = interval;
        this.window = interval * retries;
        this.properties = properties;
        this.watcher = watcher;
    }

    public long window() {
        return window;
    }

    /** What SI does at its first start. Not safe against a second node that does the same at the same time. */
    public static void createTables(Database db, boolean postgres) throws SQLException {
        String blob = postgres ? "BYTEA" : "LONGBLOB";
        String id = "VARCHAR(512) NOT NULL";
        String[][] tables = {
            {"LEADER_STATUS_TABLE", "GROUP_ID " + id + ", NODE_ID " + id + ", LAST_HEARTBEAT BIGINT NOT NULL, PRIMARY KEY (GROUP_ID)"},
            {"CLUSTER_NODE_STATUS_TABLE", "GROUP_ID " + id + ", NODE_ID " + id + ", LAST_HEARTBEAT BIGINT NOT NULL, IS_NEW_NODE INTEGER NOT NULL, PROPERTY_MAP "
                    + blob + ", PRIMARY KEY (GROUP_ID, NODE_ID)"},
            {"MEMBERSHIP_EVENT_TABLE", "GROUP_ID " + id + ", NODE_ID " + id + ", CHANGE_TYPE INTEGER NOT NULL, CHANGED_MEMBER_ID " + id},
            {"REMOVED_MEMBERS_TABLE", "GROUP_ID " + id + ", NODE_ID " + id + ", PROPERTY_MAP " + blob + ", REMOVED_MEMBER_ID " + id}};
        for (String[] t : tables) {
            try {
                db.require(t[0]);
            } catch (SQLException missing) {
                db.execute("CREATE TABLE " + t[0] + " (" + t[1] + ")");
            }
        }
    }

    public void join(OnDuplicate onDuplicate) throws SQLException, DuplicateNode {
        for (boolean told = false; recentRow(); told = true) {
            if (onDuplicate == OnDuplicate.REFUSE) {
                throw new DuplicateNode(node);
            }
            if (!told) {
                Log.warn("org.wso2.carbon.cluster.coordinator.rdbms.RDBMSCoordinationStrategy", "Node with ID " + node + " in group " + group
                        + " already exists" + (onDuplicate == OnDuplicate.WAIT ? ", a duplicate node; waiting" : ""));
            }
            if (onDuplicate == OnDuplicate.TAKE_OVER) {
                break;
            }
            Node.sleep(interval);
        }
        insertSelf();
        tick();
        loop = Node.daemon("heartbeat", this::keepBeating);
    }

    private boolean recentRow() throws SQLException {
        for (Map<String, String> r : db.query("SELECT LAST_HEARTBEAT FROM CLUSTER_NODE_STATUS_TABLE WHERE GROUP_ID = ? AND NODE_ID = ?", group, node)) {
            return System.currentTimeMillis() - Long.parseLong(r.get("LAST_HEARTBEAT")) < window;
        }
        return false;
    }

    private void insertSelf() throws SQLException {
        db.execute("DELETE FROM CLUSTER_NODE_STATUS_TABLE WHERE GROUP_ID = ? AND NODE_ID = ?", group, node);
        Map<String, Object> row = Json.map("GROUP_ID", group, "NODE_ID", node, "LAST_HEARTBEAT", System.currentTimeMillis(), "IS_NEW_NODE", 1);
        if (properties != null) {
            row.put("PROPERTY_MAP", properties.getBytes(StandardCharsets.UTF_8));
        }
        db.insert("CLUSTER_NODE_STATUS_TABLE", row);
    }

    private void keepBeating() {
        boolean lost = false;
        while (true) {
            Node.sleep(lost ? 2 * window : interval);
            if (loop == null) {
                return;
            }
            try {
                tick();
                if (lost) {
                    watcher.rejoined();
                }
                lost = false;
            } catch (SQLException e) {
                if (!lost) {
                    Log.error("org.wso2.carbon.cluster.coordinator.rdbms.RDBMSCoordinationStrategy", "Error occurred while updating the heartbeat", e);
                    watcher.lost();
                }
                lost = true;
            }
        }
    }

    private synchronized void tick() throws SQLException {
        long now = System.currentTimeMillis();
        if (db.execute("UPDATE CLUSTER_NODE_STATUS_TABLE SET LAST_HEARTBEAT = ? WHERE GROUP_ID = ? AND NODE_ID = ?", now, group, node) == 0) {
            insertSelf();
        }
        elect(now);
        if (leader) {
            lookAfterMembers(now);
        }
        for (Map<String, String> e : db.query("SELECT CHANGE_TYPE, CHANGED_MEMBER_ID FROM MEMBERSHIP_EVENT_TABLE WHERE NODE_ID = ?", node)) {
            if (Integer.parseInt(e.get("CHANGE_TYPE")) == ADDED) {
                watcher.added(e.get("CHANGED_MEMBER_ID"));
            } else {
                watcher.removed(e.get("CHANGED_MEMBER_ID"));
            }
        }
        db.execute("DELETE FROM MEMBERSHIP_EVENT_TABLE WHERE NODE_ID = ?", node);
    }

    private void elect(long now) throws SQLException {
        List<Map<String, String>> rows = db.query("SELECT NODE_ID, LAST_HEARTBEAT FROM LEADER_STATUS_TABLE WHERE GROUP_ID = ?", group);
        boolean mine = false;
        if (rows.isEmpty()) {
            mine = claim(now);
        } else {
            String holder = rows.get(0).get("NODE_ID");
            long beat = Long.parseLong(rows.get(0).get("LAST_HEARTBEAT"));
            if (holder.equals(node)) {
                mine = db.execute("UPDATE LEADER_STATUS_TABLE SET LAST_HEARTBEAT = ? WHERE GROUP_ID = ? AND NODE_ID = ?", now, group, node) > 0;
            } else if (now - beat >= window && db.execute("DELETE FROM LEADER_STATUS_TABLE WHERE GROUP_ID = ? AND NODE_ID = ? AND LAST_HEARTBEAT = ?",
                    group, holder, beat) > 0) {
                mine = claim(now);
            }
        }
        if (mine != leader || !decided) {
            leader = mine;
            decided = true;
            watcher.leading(mine);
        }
    }

    private boolean claim(long now) {
        try {
            db.insert("LEADER_STATUS_TABLE", Json.map("GROUP_ID", group, "NODE_ID", node, "LAST_HEARTBEAT", now));
            return true;
        } catch (SQLException somebodyWasFaster) {
            return false;
        }
    }

    private void lookAfterMembers(long now) throws SQLException {
        List<Map<String, String>> rows = db.query("SELECT NODE_ID, LAST_HEARTBEAT, IS_NEW_NODE FROM CLUSTER_NODE_STATUS_TABLE WHERE GROUP_ID = ?", group);
        Set<String> alive = new LinkedHashSet<>();
        List<String> dead = new ArrayList<>();
        List<String> fresh = new ArrayList<>();
        for (Map<String, String> r : rows) {
            String id = r.get("NODE_ID");
            if (!id.equals(node) && now - Long.parseLong(r.get("LAST_HEARTBEAT")) >= window) {
                dead.add(id);
            } else {
                alive.add(id);
                if (!"0".equals(r.get("IS_NEW_NODE"))) {
                    fresh.add(id);
                }
            }
        }
        for (String id : dead) {
            db.execute("DELETE FROM CLUSTER_NODE_STATUS_TABLE WHERE GROUP_ID = ? AND NODE_ID = ?", group, id);
            db.insert("REMOVED_MEMBERS_TABLE", Json.map("GROUP_ID", group, "NODE_ID", node, "REMOVED_MEMBER_ID", id));
            tell(alive, REMOVED, id);
        }
        for (String id : fresh) {
            db.execute("UPDATE CLUSTER_NODE_STATUS_TABLE SET IS_NEW_NODE = 0 WHERE GROUP_ID = ? AND NODE_ID = ?", group, id);
            tell(alive, ADDED, id);
        }
    }

    private void tell(Set<String> nodes, int change, String member) throws SQLException {
        for (String to : nodes) {
            db.insert("MEMBERSHIP_EVENT_TABLE", Json.map("GROUP_ID", group, "NODE_ID", to, "CHANGE_TYPE", change, "CHANGED_MEMBER_ID", member));
        }
    }

    public boolean leader() {
        return leader;
    }

    /** Members whose heartbeat is recent, with what they keep beside their row (null without such a column). */
    public List<Map<String, String>> members() throws SQLException {
        List<Map<String, String>> out = new ArrayList<>();
        long now = System.currentTimeMillis();
        for (Map<String, String> r : db.query("SELECT * FROM CLUSTER_NODE_STATUS_TABLE WHERE GROUP_ID = ?", group)) {
            if (now - Long.parseLong(r.get("LAST_HEARTBEAT")) < window) {
                out.add(r);
            }
        }
        return out;
    }

    /** No more heartbeats. The row stays: a clean stop looks like a crash to the peers. */
    public void stop() {
        loop = null;
    }
}
