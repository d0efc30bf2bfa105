package standin.si;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A .siddhi file as far as a deployer sees it: its name, its HTTP source ports, and a state that counts events. */
final class SiddhiApp {
    private static final Pattern NAME = Pattern.compile("@App:name\\s*\\(\\s*['\"]([^'\"]+)['\"]\\s*\\)", Pattern.CASE_INSENSITIVE);
    private static final Pattern URL = Pattern.compile("receiver\\.url\\s*=\\s*['\"](https?)://[^:/'\"]+:(\\d+)(/[^'\"]*)?['\"]");

    final String name;
    /** Port to path of each HTTP source. */
    final Map<Integer, String> sources = new TreeMap<>();
    final AtomicLong events = new AtomicLong();

    private SiddhiApp(String name) {
        this.name = name;
    }

    static SiddhiApp read(File file) throws IOException {
        String text = Files.readString(file.toPath());
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
        return app;
    }
}
