// Cluster DNS: CoreDNS with the few plugins that the bare cluster's Corefile names.
// CoreDNS's own main brings forty more, whose cloud SDKs make up most of its build.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

// A plugin answers in this order, so the cluster's names come before the answer for all others.
func init() {
	dnsserver.Directives = []string{"ready", "errors", "kubernetes", "template"}
}

func main() {
	coremain.Run()
}
