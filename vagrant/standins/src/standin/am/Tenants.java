package standin.am;

import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import standin.base.Log;

/** The tenants that a gateway knows: those of its shared_db or, from 4.6 on, those it was told to ask the control plane for. */
final class Tenants {
    private static final String LOGGER = "org.wso2.carbon.core.multitenancy.eager.TenantEagerLoader";
    private static final long CACHE_MILLIS = 1000;

    private static final class Seen {
        final Boolean active;
        final long at = System.currentTimeMillis();

        Seen(Boolean active) {
            this.active = active;
        }
    }

    private final String eager;
    private final AmData data;
    private final Map<String, Seen> cache = new ConcurrentHashMap<>();
    private volatile Set<String> loaded;

    Tenants(String eager, AmData data) {
        this.eager = eager;
        this.data = data;
    }

    /** Null when nobody has heard of it. */
    Boolean active(String domain) {
        if (domain.equals("carbon.super")) {
            return true;
        }
        if (loaded != null) {
            return loaded.contains(domain) ? true : null;
        }
        Seen s = cache.get(domain);
        if (s == null || System.currentTimeMillis() - s.at > CACHE_MILLIS) {
            s = new Seen(look(domain));
            cache.put(domain, s);
        }
        return s.active;
    }

    /** Without its database a gateway goes on with what it knew. */
    private Boolean look(String domain) {
        try {
            Map<String, String> t = data.tenant(domain);
            return t == null ? null : AmData.active(t);
        } catch (SQLException e) {
            Log.error("org.wso2.carbon.user.core.tenant.JDBCTenantManager", "Error while getting tenant activation status of " + domain, e);
            return cache.containsKey(domain) ? cache.get(domain).active : Boolean.TRUE;
        }
    }

    boolean loaded() {
        return loaded != null;
    }

    void load(String wanted, List<?> active) {
        Set<String> out = ConcurrentHashMap.newKeySet();
        for (Object domain : active) {
            if (listed(wanted, String.valueOf(domain))) {
                out.add(String.valueOf(domain));
            }
        }
        loaded = out;
    }

    private static boolean listed(String wanted, String domain) {
        List<String> l = List.of(wanted.trim().split("\\s*,\\s*"));
        return !l.contains("!" + domain) && (l.contains("*") || l.contains(domain));
    }

    /** False when the list cannot be read, which nothing but another start mends. */
    boolean checkEagerOnes() {
        for (String name : eager.trim().split("\\s*,\\s*")) {
            if (name.equals("!*")) {
                Log.error(LOGGER, "Error while loading tenants eagerly: invalid value !*");
                return false;
            }
            if (named(name) && !Boolean.TRUE.equals(active(name))) {
                Log.error(LOGGER, "Error while loading tenants eagerly: tenant " + name + " is unknown or not active");
            }
        }
        return true;
    }

    boolean eagerOnesAreThere() {
        for (String name : eager.trim().split("\\s*,\\s*")) {
            if (named(name) && !Boolean.TRUE.equals(active(name))) {
                return false;
            }
        }
        return true;
    }

    private static boolean named(String name) {
        return !name.isEmpty() && !name.equals("*") && !name.startsWith("!");
    }
}
