package standin.base;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Reads the part of TOML that a deployment.toml uses, and is as strict about the rest as the products' config mapper. */
public final class Toml {
    public static final class Bad extends Exception {
        Bad(int line, String what) {
            super("line " + line + ": " + what);
        }
    }

    private final String src;
    private int at;
    private int line = 1;
    private final Map<String, Object> root = new LinkedHashMap<>();
    private final Set<String> declared = new HashSet<>();

    private Toml(String src) {
        this.src = src;
    }

    public static Tree parse(String text) throws Bad {
        return new Tree(new Toml(text).document());
    }

    private Map<String, Object> document() throws Bad {
        Map<String, Object> current = root;
        String section = "";
        boolean secretsSeen = false;
        while (true) {
            skipBlank(true);
            if (at >= src.length()) {
                return root;
            }
            if (peek() == '[') {
                at++;
                boolean array = peek() == '[';
                if (array) {
                    at++;
                }
                List<String> path = key(']');
                expect(']');
                if (array) {
                    expect(']');
                }
                endOfLine();
                section = String.join(".", path);
                if (secretsSeen) {
                    throw new Bad(line, "[" + section + "] after [secrets]: [secrets] must be the last table");
                }
                secretsSeen = "secrets".equals(section);
                current = array ? openArray(path) : openTable(path, section);
            } else {
                List<String> path = key('=');
                expect('=');
                skipBlank(false);
                Object value = value();
                endOfLine();
                Map<String, Object> into = current;
                for (int i = 0; i < path.size() - 1; i++) {
                    into = descend(into, path.get(i));
                }
                if (into.putIfAbsent(path.get(path.size() - 1), value) != null) {
                    throw new Bad(line - 1, "duplicate key '" + String.join(".", path) + "' in [" + section + "]");
                }
            }
        }
    }

    private Map<String, Object> openTable(List<String> path, String name) throws Bad {
        if ("apim".equals(name)) {
            for (String d : declared) {
                if (d.startsWith("apim.")) {
                    throw new Bad(line - 1, "[apim] after [" + d + "]: [apim] must come first");
                }
            }
        }
        Map<String, Object> into = root;
        boolean insideArray = false;
        for (int i = 0; i < path.size(); i++) {
            insideArray |= i < path.size() - 1 && into.get(path.get(i)) instanceof List;
            into = descend(into, path.get(i));
        }
        String id = insideArray ? name + "@" + System.identityHashCode(into) : name;
        if (!declared.add(id)) {
            throw new Bad(line - 1, "duplicate table [" + name + "]");
        }
        return into;
    }

    private Map<String, Object> openArray(List<String> path) throws Bad {
        Map<String, Object> into = root;
        for (int i = 0; i < path.size() - 1; i++) {
            into = descend(into, path.get(i));
        }
        Object existing = into.computeIfAbsent(path.get(path.size() - 1), k -> new ArrayList<>());
        if (!(existing instanceof List)) {
            throw new Bad(line - 1, "[[" + String.join(".", path) + "]] was defined as something else before");
        }
        @SuppressWarnings("unchecked")
        List<Object> list = (List<Object>) existing;
        Map<String, Object> element = new LinkedHashMap<>();
        list.add(element);
        declared.add(String.join(".", path) + "[]");
        return element;
    }

    @SuppressWarnings("unchecked")
    private Map<String, Object> descend(Map<String, Object> into, String name) throws Bad {
        Object next = into.computeIfAbsent(name, k -> new LinkedHashMap<String, Object>());
        if (next instanceof List && !((List<?>) next).isEmpty()) {
            next = ((List<?>) next).get(((List<?>) next).size() - 1);
        }
        if (!(next instanceof Map)) {
            throw new Bad(line, "'" + name + "' is a value, not a table");
        }
        return (Map<String, Object>) next;
    }

    private List<String> key(char until) throws Bad {
        List<String> parts = new ArrayList<>();
        while (true) {
            skipBlank(false);
            char c = peek();
            if (c == '"') {
                parts.add(basicString());
            } else if (c == '\'') {
                parts.add(literalString());
            } else {
                int from = at;
                while (at < src.length() && (Character.isLetterOrDigit(peek()) || peek() == '_' || peek() == '-')) {
                    at++;
                }
                if (from == at) {
                    throw new Bad(line, "a key was expected, found '" + show(c) + "'");
                }
                parts.add(src.substring(from, at));
            }
            skipBlank(false);
            if (peek() == '.') {
                at++;
                continue;
            }
            if (peek() != until) {
                throw new Bad(line, "'" + until + "' was expected after the key, found '" + show(peek()) + "'");
            }
            return parts;
        }
    }

    private Object value() throws Bad {
        char c = peek();
        if (c == '"') {
            return src.startsWith("\"\"\"", at) ? multiLine("\"\"\"") : basicString();
        }
        if (c == '\'') {
            return src.startsWith("'''", at) ? multiLine("'''") : literalString();
        }
        if (c == '[') {
            at++;
            List<Object> list = new ArrayList<>();
            while (true) {
                skipBlank(true);
                if (peek() == ']') {
                    at++;
                    return list;
                }
                list.add(value());
                skipBlank(true);
                if (peek() == ',') {
                    at++;
                } else if (peek() != ']') {
                    throw new Bad(line, "',' or ']' was expected in the array");
                }
            }
        }
        if (c == '{') {
            at++;
            Map<String, Object> map = new LinkedHashMap<>();
            skipBlank(false);
            while (peek() != '}') {
                List<String> path = key('=');
                expect('=');
                skipBlank(false);
                Map<String, Object> into = map;
                for (int i = 0; i < path.size() - 1; i++) {
                    into = descend(into, path.get(i));
                }
                into.put(path.get(path.size() - 1), value());
                skipBlank(false);
                if (peek() == ',') {
                    at++;
                    skipBlank(false);
                } else if (peek() != '}') {
                    throw new Bad(line, "',' or '}' was expected in the inline table");
                }
            }
            at++;
            return map;
        }
        int from = at;
        while (at < src.length() && " \t\r\n,]}#".indexOf(peek()) < 0) {
            at++;
        }
        String word = src.substring(from, at);
        if (word.matches("true|false")) {
            return Boolean.valueOf(word);
        }
        if (word.matches("[+-]?[0-9][0-9_]*")) {
            return Long.valueOf(word.replace("_", ""));
        }
        if (word.matches("[+-]?[0-9][0-9_]*(\\.[0-9_]+)?([eE][+-]?[0-9]+)?")) {
            return Double.valueOf(word.replace("_", ""));
        }
        if (word.matches("[0-9]{4}-[0-9]{2}-[0-9]{2}.*")) {
            return word;
        }
        throw new Bad(line, "'" + word + "' is not a value (a string needs quotes)");
    }

    private String basicString() throws Bad {
        at++;
        StringBuilder out = new StringBuilder();
        while (true) {
            char c = peek();
            if (c == 0 || c == '\n') {
                throw new Bad(line, "a string does not end on its line");
            }
            at++;
            if (c == '"') {
                return out.toString();
            }
            if (c != '\\') {
                out.append(c);
                continue;
            }
            char e = peek();
            at++;
            int i = "btnfr\"\\".indexOf(e);
            if (i >= 0) {
                out.append("\b\t\n\f\r\"\\".charAt(i));
            } else if (e == 'u' && at + 4 <= src.length()) {
                out.append((char) Integer.parseInt(src.substring(at, at + 4), 16));
                at += 4;
            } else {
                throw new Bad(line, "unknown escape '\\" + e + "'");
            }
        }
    }

    private String literalString() throws Bad {
        int end = src.indexOf('\'', at + 1);
        int eol = src.indexOf('\n', at);
        if (end < 0 || eol >= 0 && end > eol) {
            throw new Bad(line, "a string does not end on its line");
        }
        String s = src.substring(at + 1, end);
        at = end + 1;
        return s;
    }

    private String multiLine(String quote) throws Bad {
        int end = src.indexOf(quote, at + 3);
        if (end < 0) {
            throw new Bad(line, "a multi-line string has no end");
        }
        String s = src.substring(at + 3, end);
        line += (int) s.chars().filter(c -> c == '\n').count();
        at = end + 3;
        return s.startsWith("\n") ? s.substring(1) : s;
    }

    private char peek() {
        return at < src.length() ? src.charAt(at) : 0;
    }

    private static String show(char c) {
        return c == 0 || c == '\n' ? "end of line" : String.valueOf(c);
    }

    private void expect(char c) throws Bad {
        skipBlank(false);
        if (peek() != c) {
            throw new Bad(line, "'" + c + "' was expected, found '" + show(peek()) + "'");
        }
        at++;
    }

    private void skipBlank(boolean lines) {
        while (at < src.length()) {
            char c = peek();
            if (c == '#') {
                while (at < src.length() && peek() != '\n') {
                    at++;
                }
            } else if (c == ' ' || c == '\t' || c == '\r') {
                at++;
            } else if (c == '\n' && lines) {
                at++;
                line++;
            } else {
                return;
            }
        }
    }

    private void endOfLine() throws Bad {
        skipBlank(false);
        if (at < src.length() && peek() != '\n') {
            throw new Bad(line, "unexpected '" + src.substring(at, Math.min(at + 12, src.length())).split("\n")[0] + "'");
        }
        if (at < src.length()) {
            at++;
            line++;
        }
    }
}
