// Renders templates with Helm's own engine: one JSON object a line in, one a line out.
//
// In: {"template": "...", "values": {...}}. Out: {"output": "..."} or {"error": "..."}.
// Of a helper file the output of `templates/out.yaml` is what counts.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/engine"
)

type request struct {
	Template string         `json:"template"`
	Values   map[string]any `json:"values"`
}

type answer struct {
	Output *string `json:"output,omitempty"`
	Error  *string `json:"error,omitempty"`
}

func render(asked request) (said answer) {
	defer func() {
		if cause := recover(); cause != nil {
			text := fmt.Sprintf("panic: %v", cause)
			said = answer{Error: &text}
		}
	}()
	loaded := &chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: "vec", Version: "1.2.3"},
		Templates: []*common.File{{Name: "templates/out.yaml", Data: []byte(asked.Template)}},
		Values:    map[string]any{},
	}
	options := common.ReleaseOptions{Name: "rel", Namespace: "prod", Revision: 1, IsInstall: true}
	values, err := util.ToRenderValues(loaded, asked.Values, options, nil)
	if err == nil {
		var files map[string]string
		files, err = engine.Engine{}.Render(loaded, values)
		if err == nil {
			text := files["vec/templates/out.yaml"]
			return answer{Output: &text}
		}
	}
	text := err.Error()
	return answer{Error: &text}
}

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
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
		if err := writer.Encode(render(asked)); err != nil {
			os.Exit(1)
		}
	}
}
