package standin.si;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import standin.base.Services;

/** A .siddhi file as far as a deployer sees it: its name, its HTTP source ports, and a state that counts events. */
final class SiddhiApp {
    private static final Pattern NAME = Pattern.compile("@App:name\\s*\\(\\s*['\"]([^'\"]+)['\"]\\s*\\)", Pattern.CASE_INSENSITIVE);
    private static final Pattern URL = Pattern.compile("receiver\\.url\\s*=\\s*['\"](https?)://[^:/'\"]+:(\\d+)(/[^'\"]*)?['\"]");

    private static final Pattern ASYNC_API = Pattern.compile("@App:AsyncAPI\\s*\\(\\s*(\"\"\"|\"|')(.*?)\\1\\s*\\)", Pattern.CASE_INSENSITIVE | Pattern.DOTALL);
    private static final Pattern VARIABLE = Pattern.compile("\\$\\{(\\w+)}");

    final String name;
    /** What @App:AsyncAPI holds, or null. */
    private String asyncApi;
    /** Port to path of each HTTP source. */
    final Map<Integer, String> sources = new TreeMap<>();
    final AtomicLong events = new AtomicLong();

    private SiddhiApp(String name) {
        this.name = name;
    }

    static SiddhiApp read(File file) throws IOException {
        String text = filled(Files.readString(file.toPath()));
        String base = file.getName().replaceAll("\\.siddhi$", "");
        Matcher m = NAME.matcher(text);
        if (!m.find()) {
            throw new IOException("Siddhi App Name is not provided in " + file.getName());
        }
        if (!m.group(1).equals(base)) {
            throw new IOException("Siddhi App file name needs be identical with the Siddhi App name: file " + base + ", @App:name " + m.group(1));
        }
        String code = text.replaceAll("(?s)/\\*.*?\\*/", "").replaceAll("(?m)^\\s*--.*$", "");
        SiddhiApp app = new SiddhiApp(base);
        for (m = URL.matcher(code); m.find(); ) {
            app.sources.put(Integer.parseInt(m.group(2)), m.group(3) == null ? "/" : m.group(3));
        }
        m = ASYNC_API.matcher(text);
        app.asyncApi = m.find() ? m.group(2) : null;
        return app;
    }

    /** `${NAME}` is a property or an environment variable; without one the application does not deploy. */
    private static String filled(String text) throws IOException {
        Matcher m = VARIABLE.matcher(text);
        StringBuilder out = new StringBuilder();
        while (m.find()) {
            String v = System.getProperty(m.group(1), System.getenv(m.group(1)));
            if (v == null) {
                throw new IOException("No system or environmental variable found for '${" + m.group(1) + "}'");
            }
            m.appendReplacement(out, Matcher.quoteReplacement(v));
        }
        return m.appendTail(out).toString();
    }

    /** The application as a service of the catalog, or null when it describes none. */
    Services.Service service() {
        if (asyncApi == null) {
            return null;
        }
        String metadata = "key: \"" + serviceKey() + "\"\nname: \"" + field("title") + "\"\nversion: \"" + field("version") + "\"\nserviceUrl: \"" + field("url")
                + "\"\ndefinitionType: \"ASYNC_API\"\ndescription: \"Siddhi app " + name + "\"\n";
        return new Services.Service(serviceKey(), metadata, asyncApi);
    }

    String serviceKey() {
        return asyncApi == null ? null : field("title") + "-" + field("version");
    }

    private String field(String key) {
        Matcher m = Pattern.compile("(?m)^\\s*" + key + ":\\s*['\"]?([^'\"\\n]*?)['\"]?\\s*$").matcher(asyncApi);
        return m.find() ? m.group(1) : "";
    }
}
