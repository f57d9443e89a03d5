// Reads objects as JSON, one after another, and prints what Go code that waits for objects makes of each, one line
// of JSON an object: kstatus' own package, Flux's fork of it, and, where expressions are given, Flux's evaluator of
// healthCheckExprs. It knows nothing of Pointsman.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	flux "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type reading struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	var expressions kustomize.HealthCheckExpressions
	flag.StringVar(&expressions.Current, "current", "", "Flux's expression for an object that is ready")
	flag.StringVar(&expressions.InProgress, "in-progress", "", "and for one that is on its way")
	flag.StringVar(&expressions.Failed, "failed", "", "and for one that has failed")
	flag.Parse()
	if err := run(expressions); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(expressions kustomize.HealthCheckExpressions) error {
	var evaluator *cel.StatusEvaluator
	if expressions.Current != "" {
		made, err := cel.NewStatusEvaluator(&expressions)
		if err != nil {
			return err
		}
		evaluator = made
	}
	in := json.NewDecoder(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		var text json.RawMessage
		if err := in.Decode(&text); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		line, err := read(text, evaluator)
		if err != nil {
			return err
		}
		if err := out.Encode(line); err != nil {
			return err
		}
	}
}

func read(text []byte, evaluator *cel.StatusEvaluator) (map[string]reading, error) {
	// Not a plain json.Unmarshal: it would make floats of generations, which kstatus refuses.
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	original, err := kstatus.Compute(object)
	if err != nil {
		return nil, fmt.Errorf("kstatus: %w", err)
	}
	fork, err := flux.Compute(object)
	if err != nil {
		return nil, fmt.Errorf("flux: %w", err)
	}
	line := map[string]reading{
		"kstatus": {original.Status.String(), original.Message},
		"flux":    {fork.Status.String(), fork.Message},
	}
	if evaluator != nil {
		result, err := evaluator.Evaluate(context.Background(), object)
		if err != nil {
			return nil, fmt.Errorf("healthCheckExprs: %w", err)
		}
		line["expressions"] = reading{result.Status.String(), result.Message}
	}
	return line, nil
}
