package standin.base;

import java.io.File;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/** A pooled data source over the JDBC driver jar that the deployer put in. */
public final class Database implements Store {
    public interface Work<T> {
        T with(Connection c) throws SQLException;
    }

    private final Driver driver;
    private final String url;
    private final Properties login = new Properties();
    private final Deque<Connection> idle = new ArrayDeque<>();
    private final Semaphore places;
    private final int maxActive;
    private final long maxWait;

    private Database(Driver driver, String url, String user, String password, int maxActive, long maxWait) {
        this.driver = driver;
        this.url = url;
        this.maxActive = maxActive;
        this.places = new Semaphore(maxActive);
        this.maxWait = maxWait;
        login.setProperty("user", user);
        login.setProperty("password", password);
    }

    /** Loads the driver from these jars (the first that has it wins) and makes one connection as a proof. */
    public static Database open(List<File> jars, String driverClass, String url, String user, String password, int maxActive,
            long maxWait) throws SQLException, ReflectiveOperationException, IOException {
        Driver driver = (Driver) Class.forName(driverClass, true, loader(jars)).getDeclaredConstructor().newInstance();
        if (!driver.acceptsURL(url)) {
            throw new SQLException("Driver:" + driverClass + " returned null for URL:" + url);
        }
        Database db = new Database(driver, url, user, password, maxActive, maxWait);
        db.run(c -> c.isValid(5));
        return db;
    }

    /** The jars of these folders, in this order. */
    public static List<File> jars(String... folders) {
        List<File> out = new ArrayList<>();
        for (String folder : folders) {
            File[] files = Node.file(folder).listFiles((d, n) -> n.endsWith(".jar"));
            if (files != null) {
                java.util.Arrays.sort(files);
                out.addAll(List.of(files));
            }
        }
        return out;
    }

    private static URLClassLoader loader(List<File> jars) throws IOException {
        List<URL> urls = new ArrayList<>();
        for (File f : jars) {
            urls.add(f.toURI().toURL());
        }
        return new URLClassLoader(urls.toArray(new URL[0]), Database.class.getClassLoader());
    }

    public <T> T run(Work<T> work) throws SQLException {
        try {
            if (!places.tryAcquire(maxWait, TimeUnit.MILLISECONDS)) {
                throw new SQLException("Timeout: Pool empty. Unable to fetch a connection in " + maxWait / 1000
                        + " seconds, none available[size:" + maxActive + "; busy:" + maxActive + "; idle:0]");
            }
        } catch (InterruptedException e) {
            throw new SQLException("interrupted", e);
        }
        Connection c = null;
        boolean good = false;
        try {
            c = borrow();
            T out = work.with(c);
            good = true;
            return out;
        } catch (SQLException e) {
            good = c != null && !c.isClosed() && e.getSQLState() != null && !e.getSQLState().startsWith("08");
            throw e;
        } finally {
            if (c != null) {
                giveBack(c, good);
            }
            places.release();
        }
    }

    private Connection borrow() throws SQLException {
        while (true) {
            Connection c;
            synchronized (idle) {
                c = idle.poll();
            }
            if (c == null) {
                c = driver.connect(url, login);
                c.setAutoCommit(true);
                return c;
            }
            if (c.isValid(3)) {
                return c;
            }
            c.close();
        }
    }

    private void giveBack(Connection c, boolean good) {
        synchronized (idle) {
            if (good && idle.size() < 4) {
                idle.push(c);
                return;
            }
        }
        try {
            c.close();
        } catch (SQLException e) {
            Log.warn("org.wso2.standin.Database", "A connection could not be closed: " + e.getMessage());
        }
    }

    public int execute(String sql, Object... args) throws SQLException {
        return run(c -> {
            try (PreparedStatement p = prepare(c, sql, args)) {
                return p.executeUpdate();
            }
        });
    }

    public List<Map<String, String>> query(String sql, Object... args) throws SQLException {
        return run(c -> {
            try (PreparedStatement p = prepare(c, sql, args); ResultSet r = p.executeQuery()) {
                ResultSetMetaData meta = r.getMetaData();
                List<Map<String, String>> rows = new ArrayList<>();
                while (r.next()) {
                    Map<String, String> row = new LinkedHashMap<>();
                    for (int i = 1; i <= meta.getColumnCount(); i++) {
                        Object v = r.getObject(i);
                        if (v instanceof java.sql.Blob) {
                            v = r.getBytes(i);
                        }
                        String text = v == null ? null : v instanceof byte[] ? new String((byte[]) v, StandardCharsets.UTF_8) : v.toString();
                        row.put(meta.getColumnLabel(i).toUpperCase(), text);
                    }
                    rows.add(row);
                }
                return rows;
            }
        });
    }

    private static PreparedStatement prepare(Connection c, String sql, Object[] args) throws SQLException {
        PreparedStatement p = c.prepareStatement(sql);
        for (int i = 0; i < args.length; i++) {
            if (args[i] instanceof byte[]) {
                p.setBytes(i + 1, (byte[]) args[i]);
            } else {
                p.setObject(i + 1, args[i]);
            }
        }
        return p;
    }

    @Override
    public void require(String table) throws SQLException {
        query("SELECT 1 FROM " + table + " WHERE 1 = 0");
    }

    @Override
    public void insert(String table, Map<String, Object> row) throws SQLException {
        String marks = String.join(", ", java.util.Collections.nCopies(row.size(), "?"));
        execute("INSERT INTO " + table + " (" + String.join(", ", row.keySet()) + ") VALUES (" + marks + ")", row.values().toArray());
    }

    @Override
    public List<Map<String, String>> select(String table, Map<String, Object> where) throws SQLException {
        return query("SELECT * FROM " + table + condition(where), where.values().toArray());
    }

    @Override
    public int update(String table, Map<String, Object> set, Map<String, Object> where) throws SQLException {
        List<Object> args = new ArrayList<>(set.values());
        args.addAll(where.values());
        return execute("UPDATE " + table + " SET " + String.join(" = ?, ", set.keySet()) + " = ?" + condition(where), args.toArray());
    }

    @Override
    public int delete(String table, Map<String, Object> where) throws SQLException {
        return execute("DELETE FROM " + table + condition(where), where.values().toArray());
    }

    private static String condition(Map<String, Object> where) {
        return where.isEmpty() ? "" : " WHERE " + String.join(" = ? AND ", where.keySet()) + " = ?";
    }
}
