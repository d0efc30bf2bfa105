package standin.base;

import java.io.FileInputStream;
import java.io.IOException;
import java.util.Properties;

/**
 * Secret aliases. The stand-in understands plain entries only: `[secrets] x = "[value]"` of a deployment.toml and
 * `plainText value` lines of the Streaming Integrator's secrets.properties. Cipher text stays cipher text, and the
 * login that uses it then fails.
 */
final class Secrets {
    private Secrets() {
    }

    static String decrypt(String cipherText) {
        return cipherText;
    }

    static String alias(String name) {
        Properties p = new Properties();
        try (FileInputStream in = new FileInputStream(Node.file("conf/server/secrets.properties"))) {
            p.load(in);
        } catch (IOException e) {
            return null;
        }
        String v = p.getProperty(name);
        return v == null ? null : v.startsWith("plainText ") ? v.substring("plainText ".length()) : v;
    }
}
