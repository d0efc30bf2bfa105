package standin.si;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import standin.base.Database;
import standin.base.Json;
import standin.base.Log;
import standin.base.Node;

/** Snapshots of application state: rows of a table that SI makes itself, or files below the runtime. */
final class StateStore {
    private static final String LOGGER = "org.wso2.carbon.streaming.integrator.core.persistence.PersistenceStore";

    private final Database db;
    private final String table;
    private final File folder;
    private final int keep;

    private StateStore(Database db, String table, File folder, int keep) {
        this.db = db;
        this.table = table;
        this.folder = folder;
        this.keep = keep;
    }

    static StateStore inDatabase(Database db, String table, boolean postgres, int keep) throws SQLException {
        try {
            db.require(table);
        } catch (SQLException missing) {
            db.execute("CREATE TABLE " + table + " (siddhiAppName VARCHAR(255) NOT NULL, revision VARCHAR(255) NOT NULL, snapshot "
                    + (postgres ? "BYTEA" : "LONGBLOB") + ", PRIMARY KEY (siddhiAppName, revision))");
        }
        return new StateStore(db, table, null, keep);
    }

    static StateStore inFiles(String location, int keep) {
        return new StateStore(null, null, Node.file("wso2/server/" + location), keep);
    }

    /** Saves one revision and drops what is older than those to keep. */
    String save(SiddhiApp app) {
        String revision = System.currentTimeMillis() + "_" + app.name;
        byte[] snapshot = Long.toString(app.events.get()).getBytes(StandardCharsets.UTF_8);
        try {
            if (db != null) {
                db.insert(table, Json.map("siddhiAppName", app.name, "revision", revision, "snapshot", snapshot));
                List<Map<String, String>> rows = revisions(app);
                for (int i = keep; i < rows.size(); i++) {
                    db.delete(table, Json.map("siddhiAppName", app.name, "revision", rows.get(i).get("REVISION")));
                }
            } else {
                folder.mkdirs();
                Files.write(new File(folder, app.name).toPath(), snapshot);
            }
            return revision;
        } catch (SQLException | IOException e) {
            Log.error(LOGGER, "Error while persisting the state of " + app.name, e);
            return null;
        }
    }

    private List<Map<String, String>> revisions(SiddhiApp app) throws SQLException {
        return db.query("SELECT * FROM " + table + " WHERE siddhiAppName = ? ORDER BY revision DESC", app.name);
    }

    /** Brings back the last revision, unless what is there is newer (replayed from the event sync). */
    void restore(SiddhiApp app) {
        try {
            String snapshot = null;
            if (db != null) {
                List<Map<String, String>> rows = revisions(app);
                snapshot = rows.isEmpty() ? null : rows.get(0).get("SNAPSHOT");
            } else if (new File(folder, app.name).exists()) {
                snapshot = Files.readString(new File(folder, app.name).toPath());
            }
            if (snapshot != null) {
                long saved = Long.parseLong(snapshot.trim());
                app.events.updateAndGet(n -> Math.max(n, saved));
                Log.info(LOGGER, "Siddhi App " + app.name + " restored to its last revision");
            }
        } catch (SQLException | IOException e) {
            Log.error(LOGGER, "Error while restoring the state of " + app.name, e);
        }
    }
}
