package standin.base;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.text.SimpleDateFormat;
import java.util.Date;
import java.util.Locale;

/** The product's main log file and its console, in the product's own line format. */
public final class Log {
    public enum Style { CARBON4, SHORT_NAMES, CARBON5 }

    private static PrintStream file;
    private static PrintStream access;
    private static Style style = Style.CARBON4;

    private Log() {
    }

    public static void open(Style wanted, File main, File accessLog) throws IOException {
        style = wanted;
        main.getParentFile().mkdirs();
        file = new PrintStream(new FileOutputStream(main, true), true, "UTF-8");
        if (accessLog != null) {
            access = new PrintStream(new FileOutputStream(accessLog, true), true, "UTF-8");
        }
    }

    public static void info(String logger, String message) {
        write("INFO", logger, message, null);
    }

    public static void warn(String logger, String message) {
        write("WARN", logger, message, null);
    }

    public static void error(String logger, String message) {
        write("ERROR", logger, message, null);
    }

    public static void error(String logger, String message, Throwable cause) {
        write("ERROR", logger, message, cause);
    }

    public static void fatal(String logger, String message, Throwable cause) {
        write("FATAL", logger, message, cause);
    }

    private static synchronized void write(String level, String logger, String message, Throwable cause) {
        String now = new SimpleDateFormat("yyyy-MM-dd HH:mm:ss,SSS").format(new Date());
        String shown = style == Style.SHORT_NAMES ? last(logger) : logger;
        String text = String.format("[%s] %5s {%s} - %s", now, level, shown, message);
        String console = style == Style.CARBON4 ? String.format("[%s] %5s - %s %s", now, level, last(logger), message) : text;
        if (style == Style.CARBON4) {
            text = "TID: [-1234] [] " + text;
        }
        StringWriter trace = new StringWriter();
        if (cause != null) {
            trace.append("\n").append(cause.toString());
            for (Throwable c = cause.getCause(); c != null && c != c.getCause(); c = c.getCause()) {
                trace.append("\nCaused by: ").append(c.toString());
            }
            if (Boolean.getBoolean("standin.trace")) {
                cause.printStackTrace(new PrintWriter(trace));
            }
        }
        if (file != null) {
            file.println(text + trace);
        }
        System.out.println(console + trace);
    }

    private static String last(String logger) {
        return logger.substring(logger.lastIndexOf('.') + 1);
    }

    static synchronized void accessed(String client, String request, int status, long bytes, long millis) {
        if (access != null) {
            String now = new SimpleDateFormat("dd/MMM/yyyy:HH:mm:ss Z", Locale.ENGLISH).format(new Date());
            access.println(client + " - - [" + now + "] \"" + request + "\" " + status + " " + bytes + " \"-\" \"-\" " + millis);
        }
    }
}
