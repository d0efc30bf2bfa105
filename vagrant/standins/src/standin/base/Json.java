package standin.base;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON both ways, on maps, lists, strings, numbers and booleans. */
public final class Json {
    private final String s;
    private int at;

    private Json(String s) {
        this.s = s;
    }

    /** A map from alternating keys and values. */
    public static Map<String, Object> map(Object... pairs) {
        Map<String, Object> out = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            out.put((String) pairs[i], pairs[i + 1]);
        }
        return out;
    }

    public static String write(Object o) {
        StringBuilder out = new StringBuilder();
        write(o, out);
        return out.toString();
    }

    private static void write(Object o, StringBuilder out) {
        if (o instanceof Map) {
            String sep = "{";
            for (Map.Entry<?, ?> e : ((Map<?, ?>) o).entrySet()) {
                out.append(sep);
                write(String.valueOf(e.getKey()), out);
                out.append(':');
                write(e.getValue(), out);
                sep = ",";
            }
            out.append(sep.equals("{") ? "{}" : "}");
        } else if (o instanceof Iterable) {
            String sep = "[";
            for (Object e : (Iterable<?>) o) {
                out.append(sep);
                write(e, out);
                sep = ",";
            }
            out.append(sep.equals("[") ? "[]" : "]");
        } else if (o == null || o instanceof Number || o instanceof Boolean) {
            out.append(o);
        } else {
            out.append('"');
            for (char c : o.toString().toCharArray()) {
                if (c == '"' || c == '\\') {
                    out.append('\\').append(c);
                } else if (c < ' ') {
                    out.append(String.format("\\u%04x", (int) c));
                } else {
                    out.append(c);
                }
            }
            out.append('"');
        }
    }

    /** Null when the text is not JSON. */
    public static Object parse(String text) {
        try {
            Json j = new Json(text);
            Object v = j.value();
            j.blank();
            return j.at == text.length() ? v : null;
        } catch (RuntimeException e) {
            return null;
        }
    }

    @SuppressWarnings("unchecked")
    public static Map<String, Object> object(String text) {
        Object v = parse(text);
        return v instanceof Map ? (Map<String, Object>) v : null;
    }

    private void blank() {
        while (at < s.length() && Character.isWhitespace(s.charAt(at))) {
            at++;
        }
    }

    private Object value() {
        blank();
        char c = s.charAt(at);
        if (c == '{') {
            at++;
            Map<String, Object> map = new LinkedHashMap<>();
            blank();
            while (s.charAt(at) != '}') {
                blank();
                String key = string();
                blank();
                take(':');
                map.put(key, value());
                blank();
                if (s.charAt(at) != '}') {
                    take(',');
                }
            }
            at++;
            return map;
        }
        if (c == '[') {
            at++;
            List<Object> list = new ArrayList<>();
            blank();
            while (s.charAt(at) != ']') {
                list.add(value());
                blank();
                if (s.charAt(at) != ']') {
                    take(',');
                }
            }
            at++;
            return list;
        }
        if (c == '"') {
            return string();
        }
        int from = at;
        while (at < s.length() && ",]} \t\r\n".indexOf(s.charAt(at)) < 0) {
            at++;
        }
        String w = s.substring(from, at);
        switch (w) {
            case "true": return true;
            case "false": return false;
            case "null": return null;
            default: return w.matches("-?[0-9]+") ? (Object) Long.valueOf(w) : (Object) Double.valueOf(w);
        }
    }

    private void take(char c) {
        if (s.charAt(at) != c) {
            throw new IllegalArgumentException(String.valueOf(c));
        }
        at++;
    }

    private String string() {
        take('"');
        StringBuilder out = new StringBuilder();
        while (s.charAt(at) != '"') {
            char c = s.charAt(at++);
            if (c != '\\') {
                out.append(c);
                continue;
            }
            char e = s.charAt(at++);
            int i = "btnfr".indexOf(e);
            if (i >= 0) {
                out.append("\b\t\n\f\r".charAt(i));
            } else if (e == 'u') {
                out.append((char) Integer.parseInt(s.substring(at, at + 4), 16));
                at += 4;
            } else {
                out.append(e);
            }
        }
        at++;
        return out.toString();
    }
}
