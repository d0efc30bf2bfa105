package standin.base;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;

/** HTTP and HTTPS listeners. Every answer names its node; a stop lets running requests end. */
public final class Web {
    public interface Handler {
        void handle(Call call) throws Exception;
    }

    static {
        System.setProperty("sun.net.httpserver.nodelay", "true");
        System.setProperty("sun.net.httpserver.maxReqTime", "600");
        System.setProperty("sun.net.httpserver.idleInterval", "60");
    }

    private static final List<Web> ALL = new ArrayList<>();
    private static final AtomicInteger IN_FLIGHT = new AtomicInteger();

    private final HttpServer server;
    private final ExecutorService pool;

    private Web(HttpServer server, ExecutorService pool) {
        this.server = server;
        this.pool = pool;
    }

    public static Web listen(String host, int port, SSLContext tls, int threads, Handler handler) throws IOException {
        InetSocketAddress address = host == null ? new InetSocketAddress(port) : new InetSocketAddress(host, port);
        HttpServer server;
        if (tls == null) {
            server = HttpServer.create(address, 128);
        } else {
            HttpsServer https = HttpsServer.create(address, 128);
            https.setHttpsConfigurator(new HttpsConfigurator(tls));
            server = https;
        }
        ExecutorService pool = Executors.newFixedThreadPool(threads, r -> {
            Thread t = new Thread(r, "http-" + port);
            t.setDaemon(true);
            return t;
        });
        server.setExecutor(pool);
        server.createContext("/", x -> serve(x, handler));
        server.start();
        Web web = new Web(server, pool);
        synchronized (ALL) {
            ALL.add(web);
        }
        return web;
    }

    static void serve(HttpExchange x, Handler handler) {
        IN_FLIGHT.incrementAndGet();
        Call call = new Call(x);
        try {
            handler.handle(call);
            if (!call.answered()) {
                call.text(404, "");
            }
        } catch (Exception e) {
            Log.error("org.wso2.standin.Web", "Error while serving " + x.getRequestURI(), e);
            if (!call.answered()) {
                try {
                    call.json(500, Json.map("code", 500, "message", "Internal Server Error", "description", String.valueOf(e.getMessage())));
                } catch (IOException gone) {
                    Log.warn("org.wso2.standin.Web", "The client has gone: " + gone.getMessage());
                }
            }
        } finally {
            x.close();
            IN_FLIGHT.decrementAndGet();
        }
    }

    /** Closes this listener at once; requests that run are left to end. */
    public void close() {
        synchronized (ALL) {
            ALL.remove(this);
        }
        Node.daemon("http-stop", () -> {
            server.stop(1);
            pool.shutdown();
        });
    }

    /** Closes every listener to new connections, then waits until nothing runs any more, for so long at most. */
    public static boolean drain(long millis) {
        List<Web> all;
        synchronized (ALL) {
            all = new ArrayList<>(ALL);
        }
        for (Web w : all) {
            Node.daemon("http-drain", () -> w.server.stop((int) (millis / 1000) + 1));
        }
        long until = System.currentTimeMillis() + millis;
        Node.sleep(100);
        while (IN_FLIGHT.get() > 0 && System.currentTimeMillis() < until) {
            Node.sleep(50);
        }
        Node.sleep(100);
        return IN_FLIGHT.get() == 0;
    }
}
