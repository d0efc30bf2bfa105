package standin.base;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Properties;

/** What is wrong with this release: said by STAND-IN-FAULT.properties in its folder, which `build` writes for levels from 901 on. */
public enum Fault {
    NONE,
    /** The JVM ends before it has read its configuration. */
    REFUSES_TO_START,
    /** Ready by its health checks, and every call is answered 503. */
    ANSWERS_503,
    /** Ready, with one API of those that it was told to deploy. */
    LOSES_APIS,
    /** Good for 20 s after its start; then calls and health checks fail. */
    TURNS_BAD,
    /** Every call takes 300 ms longer. */
    IS_SLOW;

    private static final long GOOD_FOR = 20_000;
    private static final long DELAY = 300;
    private static final Fault OURS = read();

    private static Fault read() {
        Path file = Node.file("STAND-IN-FAULT.properties").toPath();
        if (!Files.exists(file)) {
            return NONE;
        }
        Properties said = new Properties();
        try (Reader in = Files.newBufferedReader(file)) {
            said.load(in);
        } catch (IOException e) {
            throw new IllegalStateException(file + " cannot be read", e);
        }
        return valueOf(said.getProperty("fault").toUpperCase(Locale.ROOT).replace('-', '_'));
    }

    public boolean here() {
        return OURS == this;
    }

    /** At the very start. */
    public static void refuseToStart(String logger) {
        if (REFUSES_TO_START.here()) {
            Log.fatal(logger, "This release is a stand-in for a bad one: it refuses to start", null);
            System.exit(1);
        }
    }

    public static boolean turnedBad() {
        return TURNS_BAD.here() && System.currentTimeMillis() - Node.BORN > GOOD_FOR;
    }

    /** Answers the call itself where the release is bad at that; otherwise at most late. */
    public static boolean spoils(Call call) throws IOException {
        if (ANSWERS_503.here() || turnedBad()) {
            call.json(503, Json.map("code", "303001", "type", "Status report", "message", "Runtime Error",
                    "description", "This release is a stand-in for a bad one"));
            return true;
        }
        if (IS_SLOW.here()) {
            Node.sleep(DELAY);
        }
        return false;
    }
}
