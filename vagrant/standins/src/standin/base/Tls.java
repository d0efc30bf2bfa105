package standin.base;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** A key store with one entry picked by alias, and the contexts made from it. */
public final class Tls {
    private final KeyStore store;
    private final String alias;
    private final char[] keyPassword;

    private Tls(KeyStore store, String alias, char[] keyPassword) {
        this.store = store;
        this.alias = alias;
        this.keyPassword = keyPassword;
    }

    /** Fails on a missing file, a wrong password, an alias that is not there, and a key that its password does not open. */
    public static Tls open(File file, String type, String password, String alias, String keyPassword)
            throws IOException, GeneralSecurityException {
        KeyStore all = load(file, type, password);
        if (!all.isKeyEntry(alias)) {
            throw new GeneralSecurityException("Alias [" + alias + "] is not a key entry of " + file);
        }
        // JKS in memory: PKCS12 would derive a key from the password, slowly, at every look.
        KeyStore one = KeyStore.getInstance("JKS");
        one.load(null, null);
        one.setKeyEntry(alias, all.getKey(alias, keyPassword.toCharArray()), keyPassword.toCharArray(), all.getCertificateChain(alias));
        return new Tls(one, alias, keyPassword.toCharArray());
    }

    public static KeyStore load(File file, String type, String password) throws IOException, GeneralSecurityException {
        KeyStore store = KeyStore.getInstance(type);
        try (FileInputStream in = new FileInputStream(file)) {
            store.load(in, password.toCharArray());
        }
        return store;
    }

    public SSLContext server() throws GeneralSecurityException {
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, keyPassword);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        return context;
    }

    public X509Certificate certificate() throws GeneralSecurityException {
        return (X509Certificate) store.getCertificate(alias);
    }

    /** Trusts exactly what the trust store holds. Names are not checked: the products' scripts switch that off. */
    public static SSLContext client(File trustStore, String type, String password) throws IOException, GeneralSecurityException {
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(load(trustStore, type, password));
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }
}
