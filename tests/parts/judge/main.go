// Asks Helm's own packages: one JSON object a line in, one a line out, {"output": "..."} or
// {"error": "..."}. Which question it is the fields say:
//
//	template, values          what the template makes of the values
//	files, values, valuesText what `templates/out.yaml` of the chart with these files makes of the
//	                          values (given as data or as YAML), under the Kubernetes of `kube`
//	set, kind, base           what `--set`, `--set-string`, `--set-json` or `--set-literal` (kind:
//	                          set, string, json, literal) makes of the values `base`, as JSON
//	yaml                      a values file, as JSON
//	metadata                  a Chart.yaml, checked, as JSON
//	jsonpath, values          what `show values --jsonpath` prints of the values
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"sort"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	"helm.sh/helm/v4/pkg/strvals"
	"k8s.io/cli-runtime/pkg/printers"
)

type request struct {
	Template   string            `json:"template"`
	Values     map[string]any    `json:"values"`
	Files      map[string]string `json:"files"`
	ValuesText *string           `json:"valuesText"`
	Kube       string            `json:"kube"`
	Set        *string           `json:"set"`
	Kind       string            `json:"kind"`
	Base       map[string]any    `json:"base"`
	Yaml       *string           `json:"yaml"`
	Metadata   *string           `json:"metadata"`
	JSONPath   *string           `json:"jsonpath"`
}

type answer struct {
	Output *string `json:"output,omitempty"`
	Error  *string `json:"error,omitempty"`
}

func said(text string, err error) answer {
	if err != nil {
		text = err.Error()
		return answer{Error: &text}
	}
	return answer{Output: &text}
}

func asJSON(value any, err error) answer {
	if err != nil {
		return said("", err)
	}
	text, err := json.Marshal(value)
	return said(string(text), err)
}

func load(files map[string]string) (*chart.Chart, error) {
	var list []*archive.BufferedFile
	for name, text := range files {
		list = append(list, &archive.BufferedFile{Name: name, Data: []byte(text)})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return loader.LoadFiles(list)
}

func render(asked request) (string, error) {
	loaded := &chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: "vec", Version: "1.2.3"},
		Templates: []*common.File{{Name: "templates/out.yaml", Data: []byte(asked.Template)}},
		Values:    map[string]any{},
	}
	values := asked.Values
	var err error
	if asked.Files != nil {
		if loaded, err = load(asked.Files); err != nil {
			return "", err
		}
	}
	if asked.ValuesText != nil {
		if values, err = loader.LoadValues(strings.NewReader(*asked.ValuesText)); err != nil {
			return "", err
		}
	}
	if asked.Files != nil {
		if err = chartutil.ProcessDependencies(loaded, values); err != nil {
			return "", err
		}
	}
	capabilities := common.DefaultCapabilities.Copy()
	if asked.Kube != "" {
		version, err := common.ParseKubeVersion(asked.Kube)
		if err != nil {
			return "", err
		}
		capabilities.KubeVersion = *version
	}
	options := common.ReleaseOptions{Name: "rel", Namespace: "prod", Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(loaded, values, options, capabilities)
	if err != nil {
		return "", err
	}
	files, err := engine.Engine{}.Render(loaded, all)
	return files[loaded.Name()+"/templates/out.yaml"], err
}

func set(asked request) (map[string]any, error) {
	base := asked.Base
	if base == nil {
		base = map[string]any{}
	}
	switch asked.Kind {
	case "string":
		return base, strvals.ParseIntoString(*asked.Set, base)
	case "json":
		return base, strvals.ParseJSON(*asked.Set, base)
	case "literal":
		return base, strvals.ParseLiteralInto(*asked.Set, base)
	}
	return base, strvals.ParseInto(*asked.Set, base)
}

func metadata(text string) (*chart.Metadata, error) {
	loaded, err := load(map[string]string{"Chart.yaml": text})
	if err != nil {
		return nil, err
	}
	return loaded.Metadata, nil
}

// As `show values` does, which is silent of what it does not find.
func find(template string, values map[string]any) (string, error) {
	printer, err := printers.NewJSONPathPrinter(template)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	_ = printer.Execute(&out, values)
	return out.String(), nil
}

func answered(asked request) (given answer) {
	defer func() {
		if cause := recover(); cause != nil {
			if asked.JSONPath != nil {
				// So does Helm, and there is nothing to compare.
				os.Exit(2)
			}
			given = said("", fmt.Errorf("panic: %v", cause))
		}
	}()
	switch {
	case asked.Set != nil:
		values, err := set(asked)
		return asJSON(values, err)
	case asked.Yaml != nil:
		values, err := loader.LoadValues(strings.NewReader(*asked.Yaml))
		return asJSON(values, err)
	case asked.Metadata != nil:
		checked, err := metadata(*asked.Metadata)
		return asJSON(checked, err)
	case asked.JSONPath != nil:
		return said(find(*asked.JSONPath, asked.Values))
	}
	return said(render(asked))
}

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	log.SetOutput(io.Discard)
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	// Not buffered: a template that exhausts the stack must not take earlier answers along.
	reader, writer := json.NewDecoder(in), json.NewEncoder(os.Stdout)
	writer.SetEscapeHTML(false)
	for {
		var asked request
		if err := reader.Decode(&asked); err == io.EOF {
			return
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "judge:", err)
			os.Exit(1)
		}
		if err := writer.Encode(answered(asked)); err != nil {
			os.Exit(1)
		}
	}
}
