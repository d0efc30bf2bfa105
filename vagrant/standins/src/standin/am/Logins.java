package standin.am;

/** Who may log in to the broker and the data receiver. */
interface Logins {
    boolean valid(String user, String password);
}
