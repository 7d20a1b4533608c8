// Answers the rows of tests/golden/kustomize/rows.jsonl: what kustomize makes of objects, called as
// Flux's helm-controller calls it. Each line is read from standard input and written to standard
// output with its answer. A row has `objects`, and either `kustomize` (patches and images) or
// `labels` and `annotations`. `table` prints src/kustomize/tables/schema.txt.
//
//	mkdir /tmp/kustomize && cp tests/parts/kustomize/main.go /tmp/kustomize && cd /tmp/kustomize
//	go mod init kustomize && go mod edit -require=sigs.k8s.io/kustomize/api@v0.21.1 && go mod tidy
//	go run . <REPOSITORY/tests/golden/kustomize/rows.jsonl >rows && mv rows REPOSITORY/…
//	go run . table >REPOSITORY/src/kustomize/tables/schema.txt
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/kustomize/api/builtins"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

type row struct {
	Name        string            `json:"name"`
	Objects     string            `json:"objects"`
	Kustomize   *kustomize        `json:"kustomize,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Output      *string           `json:"output,omitempty"`
	Error       string            `json:"error,omitempty"`
}

type kustomize struct {
	Patches []types.Patch `json:"patches,omitempty"`
	Images  []types.Image `json:"images,omitempty"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "table" {
		table()
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var asked row
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		asked.Output, asked.Error = nil, ""
		if text, err := said(asked); err != nil {
			asked.Error = err.Error()
		} else {
			asked.Output = &text
		}
		line, _ := json.Marshal(asked)
		fmt.Println(string(line))
	}
}

func said(asked row) (text string, err error) {
	defer func() {
		if died := recover(); died != nil {
			err = fmt.Errorf("recovered from kustomize build panic: %v", died)
		}
	}()
	var made resmap.ResMap
	if asked.Kustomize != nil {
		made, err = customized(asked)
	} else {
		made, err = labeled(asked)
	}
	if err != nil {
		return "", err
	}
	out, err := made.AsYaml()
	return string(out), err
}

func customized(asked row) (resmap.ResMap, error) {
	files := filesys.MakeFsInMemory()
	wanted := types.Kustomization{
		TypeMeta:  types.TypeMeta{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind},
		Resources: []string{"helm-output.yaml"},
		Patches:   asked.Kustomize.Patches,
		Images:    asked.Kustomize.Images,
	}
	text, err := json.Marshal(wanted)
	if err != nil {
		return nil, err
	}
	if err := files.WriteFile("kustomization.yaml", text); err != nil {
		return nil, err
	}
	if err := files.WriteFile("helm-output.yaml", []byte(asked.Objects)); err != nil {
		return nil, err
	}
	options := &krusty.Options{LoadRestrictions: types.LoadRestrictionsNone, PluginConfig: types.DisabledPluginConfig()}
	options.Reorder = krusty.ReorderOptionNone
	return krusty.MakeKustomizer(options).Run(files, ".")
}

func labeled(asked row) (resmap.ResMap, error) {
	factory := resmap.NewFactory(provider.NewDefaultDepProvider().GetResourceFactory())
	made, err := factory.NewResMapFromBytes([]byte(asked.Objects))
	if err != nil {
		return nil, err
	}
	at := func(path string) []types.FieldSpec {
		return []types.FieldSpec{{Path: path, CreateIfNotPresent: true}}
	}
	if len(asked.Labels) > 0 {
		set := builtins.LabelTransformerPlugin{Labels: asked.Labels, FieldSpecs: at("metadata/labels")}
		if err := set.Transform(made); err != nil {
			return nil, err
		}
	}
	if len(asked.Annotations) > 0 {
		set := builtins.AnnotationsTransformerPlugin{Annotations: asked.Annotations, FieldSpecs: at("metadata/annotations")}
		if err := set.Transform(made); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// The table: types that lead to a list which is merged, kinds of such types, and kinds that stand
// in no namespace.
func table() {
	definitions := openapi.Schema().Definitions
	if len(definitions) == 0 {
		openapi.SchemaForResourceType(kyaml.TypeMeta{APIVersion: "v1", Kind: "Pod"})
		definitions = openapi.Schema().Definitions
	}
	leads := map[string]bool{}
	for more := true; more; {
		more = false
		for name, definition := range definitions {
			if leads[name] {
				continue
			}
			for _, field := range definition.Properties {
				if form(field, leads) != "" || merged(field) {
					leads[name], more = true, true
					break
				}
			}
		}
	}
	fmt.Println("# Made by `kustomize table` (tests/parts/kustomize). T: a type, its fields below it; K: a kind")
	fmt.Println("# and its type; C: a kind that stands in no namespace. `-`: a list merged by its texts.")
	var kinds, clusters []string
	for _, name := range sorted(definitions) {
		definition := definitions[name]
		for _, gvk := range kindsOf(definition) {
			if leads[name] {
				kinds = append(kinds, fmt.Sprintf("K %s %s %s", gvk.APIVersion, gvk.Kind, short(name)))
			}
			if openapi.IsCertainlyClusterScoped(gvk) {
				clusters = append(clusters, fmt.Sprintf("C %s %s", gvk.APIVersion, gvk.Kind))
			}
		}
		if !leads[name] {
			continue
		}
		fmt.Printf("T %s\n", short(name))
		for _, field := range sorted(definition.Properties) {
			shown := form(definition.Properties[field], leads)
			if merged(definition.Properties[field]) {
				_, keys := (&openapi.ResourceSchema{Schema: pointer(definition.Properties[field])}).PatchStrategyAndKeyList()
				if shown == "" {
					shown = "[-"
				}
				shown += " " + strings.Join(keys, ",")
				if len(keys) == 0 {
					shown += "-"
				}
			}
			if shown != "" {
				fmt.Printf(" %s %s\n", field, shown)
			}
		}
	}
	sort.Strings(kinds)
	sort.Strings(clusters)
	fmt.Println(strings.Join(append(kinds, clusters...), "\n"))
}

func pointer(schema spec.Schema) *spec.Schema { return &schema }

func short(name string) string { return strings.TrimPrefix(name, "io.k8s.") }

func merged(field spec.Schema) bool {
	strategy, _ := (&openapi.ResourceSchema{Schema: &field}).PatchStrategyAndKey()
	for _, one := range strings.Split(strategy, ",") {
		if one == "merge" {
			return true
		}
	}
	return false
}

func form(field spec.Schema, leads map[string]bool) string {
	if reference := field.Ref.String(); reference != "" {
		name := strings.TrimPrefix(reference, "#/definitions/")
		if leads[name] {
			return short(name)
		}
		return ""
	}
	if field.Items != nil && field.Items.Schema != nil {
		if inner := form(*field.Items.Schema, leads); inner != "" {
			return "[" + inner
		}
	}
	if field.AdditionalProperties != nil && field.AdditionalProperties.Schema != nil {
		if inner := form(*field.AdditionalProperties.Schema, leads); inner != "" {
			return "{" + inner
		}
	}
	return ""
}

func kindsOf(definition spec.Schema) []kyaml.TypeMeta {
	var found []kyaml.TypeMeta
	listed, _ := definition.Extensions["x-kubernetes-group-version-kind"].([]interface{})
	for _, one := range listed {
		fields, _ := one.(map[string]interface{})
		version := fmt.Sprint(fields["version"])
		if group := fmt.Sprint(fields["group"]); fields["group"] != nil && group != "" {
			version = group + "/" + version
		}
		found = append(found, kyaml.TypeMeta{APIVersion: version, Kind: fmt.Sprint(fields["kind"])})
	}
	return found
}

func sorted[T any](of map[string]T) []string {
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
