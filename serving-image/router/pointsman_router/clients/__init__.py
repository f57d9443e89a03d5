"""What clients send: heads and bodies off the wire, who they are, and how long they may take."""
