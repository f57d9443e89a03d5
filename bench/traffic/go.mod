module pointsman.dev/bench/traffic

go 1.26
