// Reads objects as JSON, one after another, and prints what kstatus' own package and Flux's fork of it make of
// each: one line of JSON an object. It knows nothing of Pointsman.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	flux "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type reading struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

type line struct {
	Kstatus reading `json:"kstatus"`
	Flux    reading `json:"flux"`
}

func main() {
	in := json.NewDecoder(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		var text json.RawMessage
		err := in.Decode(&text)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = read(text, out)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func read(text []byte, out *json.Encoder) error {
	// Not a plain json.Unmarshal: it would make floats of generations, which kstatus refuses.
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(text); err != nil {
		return err
	}
	original, err := kstatus.Compute(object)
	if err != nil {
		return fmt.Errorf("kstatus: %w", err)
	}
	fork, err := flux.Compute(object)
	if err != nil {
		return fmt.Errorf("flux: %w", err)
	}
	return out.Encode(line{
		Kstatus: reading{original.Status.String(), original.Message},
		Flux:    reading{fork.Status.String(), fork.Message},
	})
}
