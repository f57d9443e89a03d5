// Command traffic is both ends of a bench: `traffic engine` answers like an engine that computes nothing, and
// `traffic load` asks, measures and checks every byte of every answer.
//
// Both speak HTTP/1.1 by hand: with net/http they would cost more than the proxies between them, and a bench
// on two cores would measure its own tools.
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{"engine": runEngine, "load": runLoad}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: traffic engine|load [flags]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "traffic:", err)
		os.Exit(1)
	}
}
