"""An Event Hubs broker for one machine: AMQP 1.0 over plain TCP on loopback, events stored in files."""
