// Reads an object a line, as JSON, and holds it to the Go type that its own project has for it: a field that the
// type has not, or one of another type, is told. What a project checks beyond its types is not checked here.
package main

import (
	"bufio"
	"fmt"
	"os"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

var kinds = map[string]func() any{
	"cert-manager.io/v1 Certificate":          func() any { return &certmanager.Certificate{} },
	"gateway.networking.k8s.io/v1 GRPCRoute":  func() any { return &gateway.GRPCRoute{} },
	"monitoring.coreos.com/v1 PodMonitor":     func() any { return &monitoring.PodMonitor{} },
	"monitoring.coreos.com/v1 PrometheusRule": func() any { return &monitoring.PrometheusRule{} },
	"monitoring.coreos.com/v1 ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var head struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal(lines.Bytes(), &head); err != nil {
			fmt.Println(err)
			continue
		}
		name := head.APIVersion + " " + head.Kind
		kind, known := kinds[name]
		if !known {
			fmt.Printf("%s: no type of it is known here\n", name)
		} else if err := yaml.UnmarshalStrict(lines.Bytes(), kind()); err != nil {
			fmt.Printf("%s: %v\n", name, err)
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Println(err)
	}
}
