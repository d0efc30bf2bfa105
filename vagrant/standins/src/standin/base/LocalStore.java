package standin.base;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Stands for an embedded H2 file: rows in memory, written to one file, seen by this node only. */
public final class LocalStore implements Store {
    private final File file;
    private final Map<String, List<Map<String, String>>> tables = new LinkedHashMap<>();
    private int lastId;

    @SuppressWarnings("unchecked")
    public LocalStore(File file) throws IOException {
        this.file = file;
        file.getParentFile().mkdirs();
        Map<String, Object> saved = file.exists() ? Json.object(Files.readString(file.toPath())) : null;
        if (saved != null) {
            for (Map.Entry<String, Object> table : saved.entrySet()) {
                for (Object row : (List<Object>) table.getValue()) {
                    Map<String, String> strings = new LinkedHashMap<>();
                    ((Map<String, Object>) row).forEach((k, v) -> strings.put(k, v == null ? null : v.toString()));
                    tables.computeIfAbsent(table.getKey(), t -> new ArrayList<>()).add(strings);
                    lastId++;
                }
            }
        }
    }

    @Override
    public void require(String table) {
        // Embedded databases come with their schema.
    }

    @Override
    public synchronized void insert(String table, Map<String, Object> row) throws SQLException {
        Map<String, String> strings = strings(row);
        for (String id : new String[] {"UM_ID", "API_ID", "ID"}) {
            strings.putIfAbsent(id, String.valueOf(++lastId));
        }
        tables.computeIfAbsent(table, t -> new ArrayList<>()).add(strings);
        save();
    }

    @Override
    public synchronized List<Map<String, String>> select(String table, Map<String, Object> where) {
        List<Map<String, String>> out = new ArrayList<>();
        Map<String, String> wanted = strings(where);
        for (Map<String, String> row : tables.getOrDefault(table, new ArrayList<>())) {
            if (row.entrySet().containsAll(wanted.entrySet())) {
                out.add(new LinkedHashMap<>(row));
            }
        }
        return out;
    }

    @Override
    public synchronized int update(String table, Map<String, Object> set, Map<String, Object> where) throws SQLException {
        int n = 0;
        for (Map<String, String> row : tables.getOrDefault(table, new ArrayList<>())) {
            if (row.entrySet().containsAll(strings(where).entrySet())) {
                row.putAll(strings(set));
                n++;
            }
        }
        save();
        return n;
    }

    @Override
    public synchronized int delete(String table, Map<String, Object> where) throws SQLException {
        List<Map<String, String>> rows = tables.getOrDefault(table, new ArrayList<>());
        int before = rows.size();
        rows.removeIf(row -> row.entrySet().containsAll(strings(where).entrySet()));
        save();
        return before - rows.size();
    }

    private static Map<String, String> strings(Map<String, Object> row) {
        Map<String, String> out = new LinkedHashMap<>();
        row.forEach((k, v) -> out.put(k, v == null ? null : v instanceof byte[] ? new String((byte[]) v, StandardCharsets.UTF_8) : v.toString()));
        return out;
    }

    private void save() throws SQLException {
        try {
            Files.writeString(file.toPath(), Json.write(tables));
        } catch (IOException e) {
            throw new SQLException("could not write " + file, e);
        }
    }
}
