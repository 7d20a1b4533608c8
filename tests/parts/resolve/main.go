// Writes tests/golden/resolve.txt: which version Helm takes of charts of the indexes of the corpus,
// for constraints made from the versions that are there. The arguments are the unpacked indexes.
// A line is index, chart, constraint and version, between tabs; `!` and Helm's error where it takes
// none. The same indexes give the same lines.
//
//	mkdir /tmp/resolve && cp tests/parts/resolve/main.go /tmp/resolve && cd /tmp/resolve
//	go mod init resolve && go mod edit -require=helm.sh/helm/v4@v4.3.2 && go mod tidy
//	go run . INDEX.yaml… >REPOSITORY/tests/golden/resolve.txt
package main

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/Masterminds/semver/v3"

	repo "helm.sh/helm/v4/pkg/repo/v1"
)

// So many of each index.
const rows = 200

// A constraint made from a version that is there, and another one.
func constraint(random *rand.Rand, one, other string) string {
	v, err := semver.NewVersion(one)
	if err != nil {
		return one
	}
	major, minor, patch := v.Major(), v.Minor(), v.Patch()
	short := fmt.Sprintf("%d.%d", major, minor)
	whole := fmt.Sprintf("%s.%d", short, patch)
	switch random.Intn(24) {
	case 0:
		return ""
	case 1:
		return "*"
	case 2:
		return one
	case 3:
		return "v" + whole
	case 4:
		return fmt.Sprintf("%d", major)
	case 5:
		return fmt.Sprintf("%d.x", major)
	case 6:
		return short + ".x"
	case 7:
		return short
	case 8:
		return "^" + whole
	case 9:
		return "~" + whole
	case 10:
		return "~" + short
	case 11:
		return "<" + one
	case 12:
		return "<=" + one
	case 13:
		return ">" + whole + "-0"
	case 14:
		return ">=" + whole
	case 15:
		return fmt.Sprintf(">=%s, <%d.0.0", whole, major+1)
	case 16:
		return fmt.Sprintf(">=%s <%s.%d", whole, short, patch+3)
	case 17:
		return fmt.Sprintf("%s || %s", other, whole)
	case 18:
		return fmt.Sprintf("<%s || ~%s-0", whole, short)
	case 19:
		return fmt.Sprintf("!=%s", one)
	case 20:
		return fmt.Sprintf("%s - %d.%d", short, major, minor+2)
	case 21:
		return fmt.Sprintf("%d.%d.%d", major, minor, patch+1000)
	case 22:
		return fmt.Sprintf("^%d.%d-0", major, minor)
	default:
		return []string{">0.0.0-0", "latest", ">= x", ">", "1.2.3.4"}[random.Intn(5)]
	}
}

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	random := rand.New(rand.NewSource(1))
	for _, path := range os.Args[1:] {
		index, err := repo.LoadIndexFile(path)
		if err != nil {
			panic(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		charts := []string{"not-there"}
		for chart := range index.Entries {
			charts = append(charts, chart)
		}
		sort.Strings(charts)
		for range rows {
			chart := charts[random.Intn(len(charts))]
			wanted := "*"
			if list := index.Entries[chart]; len(list) > 0 {
				pick := func() string { return list[random.Intn(len(list))].Version }
				wanted = constraint(random, pick(), pick())
			}
			found, err := index.Get(chart, wanted)
			answer := ""
			if err != nil {
				answer = "! " + err.Error()
			} else {
				answer = found.Version
			}
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", name, chart, wanted, answer)
		}
	}
}
