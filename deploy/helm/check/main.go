// check decodes the manifests on its input as an API server of Kubernetes does with strict validation: kinds that it does not have,
// fields that it does not know and fields given twice are errors.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

func main() {
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	reader := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	decoded := 0
	for {
		manifest, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && isEmpty(manifest) {
			continue
		}
		if err == nil {
			_, _, err = decoder.Decode(manifest, nil, nil)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "check: manifest %d: %v\n%s\n", decoded+1, err, manifest)
			os.Exit(1)
		}
		decoded++
	}
	if decoded == 0 {
		fmt.Fprintln(os.Stderr, "check: no manifest came")
		os.Exit(1)
	}
	fmt.Printf("%d manifests are good\n", decoded)
}

// Whether there is nothing in it but comments.
func isEmpty(manifest []byte) bool {
	var content any
	return yaml.Unmarshal(manifest, &content) == nil && content == nil
}
