package standin.base;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A configuration file as nested maps, read by dotted path, with the products' placeholders filled in on the way out. */
public final class Tree {
    private static final Pattern TOML = Pattern.compile("\\$(env|sys|ref|secret)\\{([^}]+)}");
    private static final Pattern CARBON5 = Pattern.compile("\\$\\{(env|sys|sec):([^}]+)}");
    private static final Pattern CARBON4 = Pattern.compile("\\$\\{([A-Za-z0-9_.]+)}");

    private final Tree top;
    private final Map<String, Object> map;
    /** Values behind `${name}` that the server itself knows (ports, admin name); filled by the product. */
    private final Map<String, String> known;

    public Tree(Map<String, Object> map) {
        this.top = this;
        this.map = map;
        this.known = new LinkedHashMap<>();
    }

    private Tree(Tree top, Map<String, Object> map) {
        this.top = top;
        this.map = map;
        this.known = top.known;
    }

    public void know(String name, String value) {
        known.put(name, value);
    }

    public boolean has(String path) {
        return raw(path) != null;
    }

    public String text(String path, String otherwise) {
        Object v = raw(path);
        return v == null || v instanceof Map || v instanceof List ? otherwise : resolve(String.valueOf(v), 0);
    }

    public int number(String path, int otherwise) {
        String v = text(path, null);
        return v == null ? otherwise : Integer.parseInt(v.trim());
    }

    public boolean flag(String path, boolean otherwise) {
        String v = text(path, null);
        return v == null ? otherwise : Boolean.parseBoolean(v.trim());
    }

    /** A list of scalars; a single scalar counts as a list of one. Null when the key is absent. */
    public List<String> list(String path) {
        Object v = raw(path);
        if (v == null) {
            return null;
        }
        List<String> out = new ArrayList<>();
        if (v instanceof List) {
            for (Object o : (List<?>) v) {
                out.add(resolve(String.valueOf(o), 0));
            }
        } else {
            out.add(resolve(String.valueOf(v), 0));
        }
        return out;
    }

    /** An array of tables; empty when absent. */
    public List<Tree> tables(String path) {
        List<Tree> out = new ArrayList<>();
        Object v = raw(path);
        if (v instanceof List) {
            for (Object o : (List<?>) v) {
                if (o instanceof Map) {
                    out.add(new Tree(top, cast(o)));
                }
            }
        } else if (v instanceof Map) {
            out.add(new Tree(top, cast(v)));
        }
        return out;
    }

    public Tree table(String path) {
        Object v = raw(path);
        return v instanceof Map ? new Tree(top, cast(v)) : null;
    }

    /** Keys may contain dots themselves (`wso2.carbon`), so the longest key that fits wins at each level. */
    private Object raw(String path) {
        return find(map, path);
    }

    private static Object find(Object at, String path) {
        if (!(at instanceof Map)) {
            return null;
        }
        Map<String, Object> here = cast(at);
        if (here.containsKey(path)) {
            return here.get(path);
        }
        for (int dot = path.lastIndexOf('.'); dot > 0; dot = path.lastIndexOf('.', dot - 1)) {
            Object next = here.get(path.substring(0, dot));
            if (next != null) {
                Object found = find(next, path.substring(dot + 1));
                if (found != null) {
                    return found;
                }
            }
        }
        return null;
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> cast(Object o) {
        return (Map<String, Object>) o;
    }

    /** What cannot be resolved stays as the literal text, and is then used as such: the products do the same. */
    private String resolve(String text, int depth) {
        if (text.indexOf('$') < 0 || depth > 8) {
            return text;
        }
        String out = replace(TOML, text, (kind, name) -> {
            switch (kind) {
                case "env": return System.getenv(name);
                case "sys": return System.getProperty(name);
                case "secret": return plainSecret(name);
                default: return top.raw(name) == null ? null : resolve(String.valueOf(top.raw(name)), depth + 1);
            }
        });
        out = replace(CARBON5, out, (kind, name) -> "env".equals(kind) ? System.getenv(name)
                : "sys".equals(kind) ? System.getProperty(name) : Secrets.alias(name));
        return replace(CARBON4, out, (name, none) -> known.containsKey(name) ? known.get(name) : System.getProperty(name));
    }

    private String plainSecret(String alias) {
        Object v = top.raw("secrets." + alias);
        if (v == null) {
            return null;
        }
        String s = String.valueOf(v);
        return s.startsWith("[") && s.endsWith("]") ? s.substring(1, s.length() - 1) : Secrets.decrypt(s);
    }

    private interface Lookup {
        String of(String kind, String name);
    }

    private static String replace(Pattern p, String text, Lookup lookup) {
        Matcher m = p.matcher(text);
        StringBuffer out = new StringBuffer();
        while (m.find()) {
            String v = lookup.of(m.group(1), m.groupCount() > 1 ? m.group(2) : null);
            m.appendReplacement(out, Matcher.quoteReplacement(v == null ? m.group() : v));
        }
        return m.appendTail(out).toString();
    }
}
