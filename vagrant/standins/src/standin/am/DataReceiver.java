package standin.am;

import java.io.IOException;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiConsumer;
import javax.net.ssl.SSLContext;
import standin.base.Lines;
import standin.base.Log;

/** The databridge receiver: logins over TLS on 9711, events over plain TCP on 9611. */
final class DataReceiver {
    private final Set<String> sessions = ConcurrentHashMap.newKeySet();

    DataReceiver(int tcpPort, int sslPort, SSLContext tls, Logins logins, BiConsumer<String, String> events) throws IOException {
        Lines.listen(null, sslPort, tls, peer -> {
            String line = peer.read();
            String[] word = line == null ? new String[0] : line.split(" ", 3);
            if (word.length == 3 && word[0].equals("LOGIN") && logins.valid(word[1], word[2])) {
                String session = UUID.randomUUID().toString();
                sessions.add(session);
                peer.write("SESSION " + session);
            } else {
                Log.error("org.wso2.carbon.databridge.core.internal.authentication.Authenticator",
                        "Wrong credentials provided for user " + (word.length > 1 ? word[1] : "?"));
                peer.write("401 wrong credentials");
            }
        });
        Lines.listen(null, tcpPort, null, peer -> {
            String first = peer.read();
            if (first == null || !first.startsWith("SESSION ") || !sessions.contains(first.substring(8))) {
                peer.write("401 session expired");
                return;
            }
            peer.write("OK");
            for (String line = peer.read(); line != null; line = peer.read()) {
                String[] word = line.split(" ", 3);
                if (word[0].equals("EVENT") && word.length == 3) {
                    events.accept(word[1], word[2]);
                }
                peer.write("OK");
            }
        });
        Log.info("org.wso2.carbon.databridge.receiver.binary.internal.BinaryDataReceiver", "Started Binary SSL Transport on port : " + sslPort);
        Log.info("org.wso2.carbon.databridge.receiver.binary.internal.BinaryDataReceiver", "Started Binary TCP Transport on port : " + tcpPort);
    }
}
