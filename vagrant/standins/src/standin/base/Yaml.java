package standin.base;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads the part of YAML that a deployment.yaml uses: block maps and lists, flow maps and lists, quoted and plain scalars. */
public final class Yaml {
    public static final class Bad extends Exception {
        Bad(int line, String what) {
            super("line " + line + ": " + what);
        }
    }

    private static final class Line {
        final int number;
        int indent;
        String text;

        Line(int number, int indent, String text) {
            this.number = number;
            this.indent = indent;
            this.text = text;
        }
    }

    private final List<Line> lines = new ArrayList<>();
    private int at;

    private Yaml() {
    }

    public static Tree parse(String text) throws Bad {
        Yaml y = new Yaml();
        y.split(text);
        Object v = y.lines.isEmpty() ? new LinkedHashMap<String, Object>() : y.block(y.lines.get(0).indent);
        if (y.at < y.lines.size()) {
            throw new Bad(y.lines.get(y.at).number, "wrong indentation");
        }
        if (!(v instanceof Map)) {
            throw new Bad(1, "a map was expected at the top");
        }
        @SuppressWarnings("unchecked")
        Map<String, Object> map = (Map<String, Object>) v;
        return new Tree(map);
    }

    private void split(String text) throws Bad {
        String[] all = text.split("\n", -1);
        for (int i = 0; i < all.length; i++) {
            String s = stripComment(all[i].replace("\r", ""));
            if (s.trim().isEmpty() || s.equals("---")) {
                continue;
            }
            int indent = 0;
            while (indent < s.length() && s.charAt(indent) == ' ') {
                indent++;
            }
            if (s.charAt(indent) == '\t') {
                throw new Bad(i + 1, "found character '\\t' that cannot start any token");
            }
            lines.add(new Line(i + 1, indent, s.trim()));
        }
    }

    private static String stripComment(String s) {
        char quote = 0;
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            if (quote != 0) {
                quote = c == quote ? 0 : quote;
            } else if ((c == '"' || c == '\'') && (i == 0 || " [{,:-".indexOf(s.charAt(i - 1)) >= 0)) {
                quote = c;
            } else if (c == '#' && (i == 0 || Character.isWhitespace(s.charAt(i - 1)))) {
                return s.substring(0, i);
            }
        }
        return s;
    }

    private Object block(int indent) throws Bad {
        Line first = lines.get(at);
        return first.text.equals("-") || first.text.startsWith("- ") ? list(indent) : map(indent);
    }

    private List<Object> list(int indent) throws Bad {
        List<Object> out = new ArrayList<>();
        while (at < lines.size()) {
            Line l = lines.get(at);
            if (l.indent != indent || !(l.text.equals("-") || l.text.startsWith("- "))) {
                break;
            }
            if (l.text.equals("-")) {
                at++;
                boolean nested = at < lines.size() && lines.get(at).indent > indent;
                out.add(nested ? block(lines.get(at).indent) : null);
                continue;
            }
            String rest = l.text.substring(2).trim();
            if (keyEnd(rest) >= 0 && !rest.startsWith("{") && !rest.startsWith("[")) {
                l.indent = indent + (l.text.length() - rest.length());
                l.text = rest;
                out.add(map(l.indent));
            } else {
                at++;
                out.add(scalar(rest, l.number));
            }
        }
        return out;
    }

    private Map<String, Object> map(int indent) throws Bad {
        Map<String, Object> out = new LinkedHashMap<>();
        while (at < lines.size()) {
            Line l = lines.get(at);
            if (l.indent < indent) {
                break;
            }
            int colon = keyEnd(l.text);
            if (l.indent > indent || l.text.startsWith("- ") || l.text.equals("-")) {
                if (l.indent == indent) {
                    break;
                }
                throw new Bad(l.number, "wrong indentation");
            }
            if (colon < 0) {
                throw new Bad(l.number, "could not find expected ':'");
            }
            String key = unquote(l.text.substring(0, colon).trim());
            String rest = l.text.substring(colon + 1).trim();
            at++;
            Object value;
            if (!rest.isEmpty()) {
                value = scalar(rest, l.number);
            } else if (at < lines.size() && (lines.get(at).indent > indent
                    || lines.get(at).indent == indent && (lines.get(at).text.startsWith("- ") || lines.get(at).text.equals("-")))) {
                value = block(lines.get(at).indent);
            } else {
                value = null;
            }
            if (out.containsKey(key)) {
                throw new Bad(l.number, "found duplicate key " + key);
            }
            out.put(key, value);
        }
        return out;
    }

    /** Where the key of "key: value" ends, or -1. */
    private static int keyEnd(String s) {
        char quote = 0;
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            if (quote != 0) {
                quote = c == quote ? 0 : quote;
            } else if (i == 0 && (c == '"' || c == '\'')) {
                quote = c;
            } else if (c == ':' && (i + 1 == s.length() || s.charAt(i + 1) == ' ')) {
                return i;
            }
        }
        return -1;
    }

    private static String unquote(String s) {
        boolean quoted = s.length() > 1 && (s.charAt(0) == '"' || s.charAt(0) == '\'') && s.charAt(s.length() - 1) == s.charAt(0);
        return quoted ? s.substring(1, s.length() - 1) : s;
    }

    private static Object scalar(String s, int line) throws Bad {
        if (s.startsWith("{") || s.startsWith("[")) {
            Flow f = new Flow(s, line);
            Object v = f.value();
            f.blank();
            if (f.at < s.length()) {
                throw new Bad(line, "unexpected text after the flow value");
            }
            return v;
        }
        if (s.startsWith("\"") || s.startsWith("'")) {
            if (s.length() < 2 || s.charAt(s.length() - 1) != s.charAt(0)) {
                throw new Bad(line, "a quoted scalar has no end");
            }
            String inner = s.substring(1, s.length() - 1);
            return s.charAt(0) == '"' ? inner.replace("\\\"", "\"").replace("\\\\", "\\") : inner.replace("''", "'");
        }
        if (s.contains(": ") || s.endsWith(":")) {
            throw new Bad(line, "mapping values are not allowed here");
        }
        if ("&*!|>%@`".indexOf(s.charAt(0)) >= 0) {
            throw new Bad(line, "'" + s.charAt(0) + "' is not understood here");
        }
        return s.equals("null") || s.equals("~") ? null : s;
    }

    private static final class Flow {
        final String s;
        final int line;
        int at;

        Flow(String s, int line) {
            this.s = s;
            this.line = line;
        }

        void blank() {
            while (at < s.length() && s.charAt(at) == ' ') {
                at++;
            }
        }

        char peek() throws Bad {
            blank();
            if (at >= s.length()) {
                throw new Bad(line, "a flow value does not end on its line");
            }
            return s.charAt(at);
        }

        Object value() throws Bad {
            char c = peek();
            if (c == '{') {
                at++;
                Map<String, Object> map = new LinkedHashMap<>();
                while (peek() != '}') {
                    String key = word(":");
                    if (peek() != ':') {
                        throw new Bad(line, "':' was expected in the flow map");
                    }
                    at++;
                    map.put(key, value());
                    if (peek() == ',') {
                        at++;
                    }
                }
                at++;
                return map;
            }
            if (c == '[') {
                at++;
                List<Object> list = new ArrayList<>();
                while (peek() != ']') {
                    list.add(value());
                    if (peek() == ',') {
                        at++;
                    }
                }
                at++;
                return list;
            }
            return word(",}]");
        }

        String word(String ends) throws Bad {
            char c = peek();
            if (c == '"' || c == '\'') {
                int end = s.indexOf(c, at + 1);
                if (end < 0) {
                    throw new Bad(line, "a quoted scalar has no end");
                }
                String w = s.substring(at + 1, end);
                at = end + 1;
                return w;
            }
            int from = at;
            int braces = 0;
            while (at < s.length() && (braces > 0 || ends.indexOf(s.charAt(at)) < 0)) {
                braces += s.charAt(at) == '{' ? 1 : s.charAt(at) == '}' ? -1 : 0;
                at++;
            }
            return s.substring(from, at).trim();
        }
    }
}
