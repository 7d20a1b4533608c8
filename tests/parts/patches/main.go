// Answers the rows of tests/golden/patches/rows.jsonl: which patch client-go's functions, as Helm
// calls them (pkg/kube/client.go, createPatch), make of three objects. Each line is read from
// standard input and written to standard output with its answer.
//
//	mkdir /tmp/patches && cp tests/parts/patches/main.go /tmp/patches && cd /tmp/patches
//	go mod init patches && go mod edit -require=helm.sh/helm/v4@v4.3.2 && go mod tidy
//	go run . <REPOSITORY/tests/golden/patches/rows.jsonl >rows && mv rows REPOSITORY/…
package main

import (
	"bufio"
	"encoding/json"
	"os"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"

	_ "helm.sh/helm/v4/pkg/kube"
)

type row struct {
	Name  string          `json:"name"`
	How   string          `json:"how"`
	Old   json.RawMessage `json:"old"`
	New   json.RawMessage `json:"new"`
	Live  json.RawMessage `json:"live,omitempty"`
	Patch json.RawMessage `json:"patch,omitempty"`
	Error string          `json:"error,omitempty"`
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func answer(known *runtime.Scheme, r *row) ([]byte, error) {
	switch r.How {
	case "json":
		return jsonpatch.CreateMergePatch(r.Old, r.New)
	case "json three-way":
		return jsonmergepatch.CreateThreeWayJSONMergePatch(r.Old, r.New, r.Live)
	}
	var head struct{ APIVersion, Kind string }
	must(json.Unmarshal(r.New, &head))
	object, err := known.New(schema.FromAPIVersionAndKind(head.APIVersion, head.Kind))
	must(err)
	meta, err := strategicpatch.NewPatchMetaFromStruct(object)
	must(err)
	return strategicpatch.CreateThreeWayMergePatch(r.Old, r.New, r.Live, meta, true)
}

func main() {
	known := runtime.NewScheme()
	must(scheme.AddToScheme(known))
	must(apiextensions.AddToScheme(known))
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for lines.Scan() {
		var r row
		must(json.Unmarshal(lines.Bytes(), &r))
		patch, err := answer(known, &r)
		r.Patch, r.Error = patch, ""
		if err != nil {
			r.Patch, r.Error = nil, err.Error()
		}
		must(out.Encode(&r))
	}
}
