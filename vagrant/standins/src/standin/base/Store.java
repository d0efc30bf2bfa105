package standin.base;

import java.sql.SQLException;
import java.util.List;
import java.util.Map;

/** Rows of named tables: a real database, or the stand-in for the embedded H2. */
public interface Store {
    void insert(String table, Map<String, Object> row) throws SQLException;

    /** Rows whose columns equal all the given values, with upper-case column names. */
    List<Map<String, String>> select(String table, Map<String, Object> where) throws SQLException;

    int update(String table, Map<String, Object> set, Map<String, Object> where) throws SQLException;

    int delete(String table, Map<String, Object> where) throws SQLException;

    /** Fails when the table is not there. */
    void require(String table) throws SQLException;
}
