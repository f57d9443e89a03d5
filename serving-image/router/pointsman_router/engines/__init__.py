"""The engines behind a service: their connections, their health, their room, their answers' framing."""
