use super::vocabulary::vocabulary;

vocabulary! {
    /// What a client of a node may do. Given in the node's configuration, by the client's name.
    Role, "role", "ROLE_UNKNOWN";
    /// Hand in and withdraw signals.
    Submit = 1, "submit";
    /// Ask about sellers.
    Check = 2, "check";
    /// Handle disputes and corrections.
    Cases = 3, "cases";
    /// Run the node.
    Admin = 4, "admin";
}
