package standin.base;

import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;

/** This machine and this process: the name that answers carry, the home folder, the pid file, the life of the JVM. */
public final class Node {
    /** When the JVM began, for the "started in" lines. */
    public static final long BORN = System.currentTimeMillis();

    private Node() {
    }

    /** The machine's host name; `-Dstandin.node` tells two stand-ins on one machine apart. */
    public static String name() {
        String given = System.getProperty("standin.node");
        if (given != null) {
            return given;
        }
        try {
            return Files.readString(Paths.get("/proc/sys/kernel/hostname")).trim();
        } catch (IOException e) {
            return "localhost";
        }
    }

    public static File home() {
        return new File(System.getProperty("carbon.home", "."));
    }

    public static File file(String relative) {
        File f = new File(relative);
        return f.isAbsolute() ? f : new File(home(), relative);
    }

    public static String version() {
        return System.getProperty("standin.version", "0.0.0");
    }

    /** The level of updates/config.json, as a text. */
    public static String updateLevel() {
        try {
            return String.valueOf(Json.object(Files.readString(file("updates/config.json").toPath())).get("update-level"));
        } catch (IOException | NullPointerException e) {
            return "-";
        }
    }

    /** Is the running version at least this one ("4.5")? */
    public static boolean atLeast(String wanted) {
        String[] a = version().split("\\."), b = wanted.split("\\.");
        for (int i = 0; i < b.length; i++) {
            int x = i < a.length ? Integer.parseInt(a[i]) : 0;
            int y = Integer.parseInt(b[i]);
            if (x != y) {
                return x > y;
            }
        }
        return true;
    }

    public static void requireOwnAddress() throws UnknownHostException {
        InetAddress.getByName(Files.exists(Paths.get("/proc/sys/kernel/hostname")) ? rawHostname() : "localhost");
    }

    private static String rawHostname() {
        try {
            return Files.readString(Paths.get("/proc/sys/kernel/hostname")).trim();
        } catch (IOException e) {
            return "localhost";
        }
    }

    public static void writePid(String relative) throws IOException {
        Path pid = file(relative).toPath();
        Files.write(pid, (ProcessHandle.current().pid() + "\n").getBytes(StandardCharsets.US_ASCII));
    }

    /** A boot step that takes its time, scaled by `-Dstandin.pace` (1 = as shipped, 0 = at once). */
    public static void pause(long millis) {
        sleep((long) (millis * Double.parseDouble(System.getProperty("standin.pace", "1"))));
    }

    /** The pause before another try, scaled by `-Dstandin.retry` (0.2 = a fifth of the product's, as shipped). */
    public static void pauseBeforeRetry(long millis) {
        sleep((long) (millis * Double.parseDouble(System.getProperty("standin.retry", "0.2"))));
    }

    public static void sleep(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Alive, without ever getting anywhere: what the products do when a start goes wrong in the wrong place. */
    public static void hang() {
        while (true) {
            sleep(60_000);
            if (Thread.currentThread().isInterrupted()) {
                return;
            }
        }
    }

    public static Thread daemon(String name, Runnable body) {
        Thread t = new Thread(body, name);
        t.setDaemon(true);
        t.start();
        return t;
    }
}
