// Makes signatures of charts with the libraries of cosign, sigstore and notation that Flux verifies
// with, asks those libraries for their verdict, and writes all of it into one JSON file, which the
// tests push into a registry of theirs:
//
//	tests/parts/build signer
//	~/.cache/leadsman/parts/signer/signer tests/golden/signatures.json
//
// Keys, authorities, a transparency log and a certificate log are made anew each time: nothing of it
// is worth anything, and nothing asks the network.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	_ "github.com/notaryproject/notation-core-go/signature/cose"
	_ "github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/notation-go"
	notationregistry "github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	"github.com/sigstore/cosign/v3/pkg/cosign"
	"github.com/sigstore/cosign/v3/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v3/pkg/oci"
	"github.com/sigstore/cosign/v3/pkg/oci/mutate"
	ociremote "github.com/sigstore/cosign/v3/pkg/oci/remote"
	ocistatic "github.com/sigstore/cosign/v3/pkg/oci/static"
	rekor "github.com/sigstore/rekor/pkg/client"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore/pkg/signature"
	"oras.land/oras-go/v2/registry/remote/auth"

	orasremote "oras.land/oras-go/v2/registry/remote"
)

const (
	issuer  = "https://issuer.example"
	subject = "https://git.example/acme/charts/.github/workflows/release.yml@refs/tags/1.0.0"
)

func check(err error) {
	if err != nil {
		log.Output(2, err.Error())
		os.Exit(1)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Output(2, err.Error())
		os.Exit(1)
	}
	return value
}

func b64(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

// What is written.
type record struct {
	Charts map[string]chart  `json:"charts"`
	Texts  map[string]string `json:"texts"`
	Cases  []*one            `json:"cases"`
}

type chart struct {
	Manifest string `json:"manifest"`
	Config   string `json:"config"`
	Layer    []byte `json:"layer"`
}

// A chart with what is signed of it.
type one struct {
	Name   string   `json:"name"`
	Pushed []pushed `json:"pushed"`
	// By what is given to verify with: empty where the libraries say that all is well.
	Verdicts map[string]string `json:"verdicts"`
}

type pushed struct {
	Tag      string   `json:"tag,omitempty"`
	Manifest string   `json:"manifest"`
	Blobs    [][]byte `json:"blobs"`
}

type world struct {
	record
	host     string
	repo     name.Repository
	now      *one
	sigstore *ca.VirtualSigstore
	fulcio   authority
	ct       *ecdsa.PrivateKey
	trusted  root.TrustedMaterial
}

func (w *world) chart(version string) {
	var raw bytes.Buffer
	zip := gzip.NewWriter(&raw)
	archive := tar.NewWriter(zip)
	files := [][2]string{
		{"web/Chart.yaml", "apiVersion: v2\nname: web\nversion: " + version + "\n"},
		{"web/values.yaml", "{}\n"},
		{"web/templates/map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  version: {{ .Chart.Version | quote }}\n"},
	}
	for _, file := range files {
		check(archive.WriteHeader(&tar.Header{Name: file[0], Mode: 0o644, Size: int64(len(file[1]))}))
		must(archive.Write([]byte(file[1])))
	}
	check(archive.Close())
	check(zip.Close())
	config := fmt.Sprintf(`{"name":"web","version":%q,"apiVersion":"v2"}`, version)
	describe := func(kind string, raw []byte) map[string]any {
		return map[string]any{"mediaType": kind, "digest": digest(raw), "size": len(raw)}
	}
	manifest := must(json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": types.OCIManifestSchema1,
		"config": describe("application/vnd.cncf.helm.config.v1+json", []byte(config)),
		"layers": []any{describe("application/vnd.cncf.helm.chart.content.v1.tar+gzip", raw.Bytes())},
	}))
	w.Charts[version] = chart{string(manifest), config, raw.Bytes()}
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

type taggable struct{ raw []byte }

func (t taggable) RawManifest() ([]byte, error)        { return t.raw, nil }
func (t taggable) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

func (w *world) push(version string) name.Digest {
	it := w.Charts[version]
	for _, blob := range [][]byte{[]byte(it.Config), it.Layer} {
		check(remote.WriteLayer(w.repo, static.NewLayer(blob, "application/octet-stream")))
	}
	at := w.repo.Digest(digest([]byte(it.Manifest)))
	check(remote.Put(w.repo.Tag(version), taggable{[]byte(it.Manifest)}))
	return at
}

// Begins a case: both charts in a repository of its own.
func (w *world) begin(title string) name.Digest {
	w.repo = must(name.NewRepository(w.host+"/"+title, name.Insecure))
	w.now = &one{Name: title, Verdicts: map[string]string{}}
	w.Cases = append(w.Cases, w.now)
	w.push("2.0.0")
	return w.push("1.0.0")
}

// Ends a case: keeps what was pushed beside the charts.
func (w *world) end() {
	keep := func(tag string, raw []byte) {
		var manifest struct {
			Config v1.Descriptor
			Layers []v1.Descriptor
		}
		check(json.Unmarshal(raw, &manifest))
		it := pushed{Tag: tag, Manifest: string(raw)}
		for _, blob := range append(manifest.Layers, manifest.Config) {
			layer := must(remote.Layer(w.repo.Digest(blob.Digest.String())))
			it.Blobs = append(it.Blobs, must(io.ReadAll(must(layer.Compressed()))))
		}
		w.now.Pushed = append(w.now.Pushed, it)
	}
	for _, tag := range must(remote.List(w.repo)) {
		if strings.HasSuffix(tag, ".sig") {
			keep(tag, must(remote.Get(w.repo.Tag(tag))).Manifest)
		}
	}
	for _, version := range []string{"1.0.0", "2.0.0"} {
		at := w.repo.Digest(digest([]byte(w.Charts[version].Manifest)))
		index := must(must(remote.Referrers(at)).IndexManifest())
		for _, found := range index.Manifests {
			keep("", must(remote.Get(w.repo.Digest(found.Digest.String()))).Manifest)
		}
	}
}

func payload(of name.Digest) []byte {
	return []byte(fmt.Sprintf(`{"critical":{"identity":{"docker-reference":"registry.example/web"},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`, of.DigestStr()))
}

func (w *world) attach(at name.Digest, sig oci.Signature) {
	entity := must(ociremote.SignedEntity(at))
	signed := must(mutate.AttachSignatureToEntity(entity, sig))
	check(ociremote.WriteSignatures(w.repo, signed))
}

func sign(key crypto.PrivateKey, message []byte) []byte {
	return must(must(signature.LoadSigner(key, crypto.SHA256)).SignMessage(bytes.NewReader(message)))
}

func (w *world) simple(at name.Digest, of name.Digest, key crypto.PrivateKey) {
	text := payload(of)
	w.attach(at, must(ocistatic.NewSignature(text, b64(sign(key, text)))))
}

// An in-toto statement in an envelope, as cosign 3 signs.
func (w *world) bundle(at name.Digest, of name.Digest, key crypto.PrivateKey, material func(text, sig []byte) map[string]any) {
	text := []byte(fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`, strings.TrimPrefix(of.DigestStr(), "sha256:")))
	kind := "application/vnd.in-toto+json"
	sig := sign(key, []byte(fmt.Sprintf("DSSEv1 %d %s %d %s", len(kind), kind, len(text), text)))
	raw := must(json.Marshal(map[string]any{
		"mediaType":            "application/vnd.dev.sigstore.bundle.v0.3+json",
		"verificationMaterial": material(text, sig),
		"dsseEnvelope":         map[string]any{"payload": b64(text), "payloadType": kind, "signatures": []any{map[string]any{"sig": b64(sig)}}},
	}))
	check(ociremote.WriteAttestationNewBundleFormat(at, raw, "https://sigstore.dev/cosign/sign/v1"))
}

func hint([]byte, []byte) map[string]any {
	return map[string]any{"publicKey": map[string]any{"hint": "hint"}}
}

// A certificate authority, or who got a certificate of one.
type authority struct {
	cert  *x509.Certificate
	key   crypto.Signer
	chain []*x509.Certificate
}

var serial = int64(1)

func issue(template x509.Certificate, by *authority, key crypto.Signer) authority {
	serial++
	template.SerialNumber = big.NewInt(serial)
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		template.NotAfter = time.Date(2076, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	template.BasicConstraintsValid = true
	parent, signer := &template, key
	var above []*x509.Certificate
	if by != nil {
		parent, signer, above = by.cert, by.key, by.chain
	}
	raw := must(x509.CreateCertificate(rand.Reader, &template, parent, key.Public(), signer))
	cert := must(x509.ParseCertificate(raw))
	return authority{cert, key, append([]*x509.Certificate{cert}, above...)}
}

func ec() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func authorityOf(title string) authority {
	usage := x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	top := issue(x509.Certificate{Subject: pkix.Name{CommonName: title + " root", Organization: []string{"Acme"}}, IsCA: true, KeyUsage: usage}, nil, ec())
	return issue(x509.Certificate{Subject: pkix.Name{CommonName: title, Organization: []string{"Acme"}}, IsCA: true, KeyUsage: usage, MaxPathLenZero: true}, &top, ec())
}

// A certificate of ten minutes, as Fulcio issues it, with the promise of a certificate log.
func (w *world) keyless(promised bool, begin time.Time) authority {
	key := ec()
	issued := x509.Certificate{
		NotBefore: begin, NotAfter: begin.Add(10 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		URIs: []*url.URL{must(url.Parse(subject))},
		ExtraExtensions: []pkix.Extension{
			{Id: []int{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(issuer)},
			{Id: []int{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: append([]byte{0x0c, byte(len(issuer))}, issuer...)},
		},
	}
	before := serial
	plain := issue(issued, &w.fulcio, key)
	if !promised {
		return plain
	}
	var data bytes.Buffer
	stamp := uint64(begin.UnixMilli())
	data.Write([]byte{0, 0})
	check(binary.Write(&data, binary.BigEndian, stamp))
	data.Write([]byte{0, 1})
	hash := sha256.Sum256(w.fulcio.cert.RawSubjectPublicKeyInfo)
	data.Write(hash[:])
	tbs := plain.cert.RawTBSCertificate
	data.Write([]byte{byte(len(tbs) >> 16), byte(len(tbs) >> 8), byte(len(tbs))})
	data.Write(tbs)
	data.Write([]byte{0, 0})
	sig := sign(w.ct, data.Bytes())
	var sct bytes.Buffer
	sct.WriteByte(0)
	id := sha256.Sum256(must(x509.MarshalPKIXPublicKey(w.ct.Public())))
	sct.Write(id[:])
	check(binary.Write(&sct, binary.BigEndian, stamp))
	sct.Write([]byte{0, 0, 4, 3, byte(len(sig) >> 8), byte(len(sig))})
	sct.Write(sig)
	list := append([]byte{byte((sct.Len() + 2) >> 8), byte(sct.Len() + 2), byte(sct.Len() >> 8), byte(sct.Len())}, sct.Bytes()...)
	value := append([]byte{4, byte(len(list))}, list...)
	if len(list) > 127 {
		value = append([]byte{4, 0x81, byte(len(list))}, list...)
	}
	issued.ExtraExtensions = append(issued.ExtraExtensions, pkix.Extension{Id: []int{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: value})
	serial = before
	return issue(issued, &w.fulcio, key)
}

func pemOf(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// What the log promises of an entry.
func (w *world) entry(body []byte, at time.Time) (tlog.RekorPayload, []byte) {
	id := must(w.sigstore.RekorLogID())
	entry := tlog.RekorPayload{Body: b64(body), IntegratedTime: at.Unix(), LogIndex: 1000, LogID: id}
	return entry, must(w.sigstore.RekorSignPayload(entry))
}

func compact(value any) []byte { return must(json.Marshal(value)) }

func sha(raw []byte) map[string]any {
	return map[string]any{"algorithm": "sha256", "value": strings.TrimPrefix(digest(raw), "sha256:")}
}

func (w *world) simpleKeyless(at name.Digest, who authority, when time.Time) {
	text := payload(at)
	sig := sign(who.key, text)
	body := compact(map[string]any{"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": map[string]any{
		"data":      map[string]any{"hash": sha(text)},
		"signature": map[string]any{"content": b64(sig), "publicKey": map[string]any{"content": b64(pemOf(who.cert))}},
	}})
	entry, promise := w.entry(body, when)
	logged := &bundle.RekorBundle{SignedEntryTimestamp: promise, Payload: bundle.RekorPayload{Body: entry.Body, IntegratedTime: entry.IntegratedTime, LogIndex: entry.LogIndex, LogID: entry.LogID}}
	chain := append(pemOf(w.fulcio.chain[0]), pemOf(w.fulcio.chain[1])...)
	w.attach(at, must(ocistatic.NewSignature(text, b64(sig), ocistatic.WithCertChain(pemOf(who.cert), chain), ocistatic.WithBundle(logged))))
}

func (w *world) bundleKeyless(at, of name.Digest, who authority, when time.Time) {
	w.bundle(at, of, who.key, func(text, sig []byte) map[string]any {
		body := compact(map[string]any{"apiVersion": "0.0.1", "kind": "dsse", "spec": map[string]any{
			"envelopeHash": sha(text), "payloadHash": sha(text),
			"signatures": []any{map[string]any{"signature": b64(sig), "verifier": b64(pemOf(who.cert))}},
		}})
		entry, promise := w.entry(body, when)
		proof := must(w.sigstore.GetInclusionProof(body))
		rootHash := must(hex.DecodeString(*proof.RootHash))
		hashes := []string{}
		for _, hash := range proof.Hashes {
			hashes = append(hashes, b64(must(hex.DecodeString(hash))))
		}
		return map[string]any{
			"certificate": map[string]any{"rawBytes": b64(who.cert.Raw)},
			"tlogEntries": []any{map[string]any{
				"logIndex": fmt.Sprint(entry.LogIndex), "logId": map[string]any{"keyId": b64(must(hex.DecodeString(entry.LogID)))},
				"kindVersion":       map[string]any{"kind": "dsse", "version": "0.0.1"},
				"integratedTime":    fmt.Sprint(entry.IntegratedTime),
				"inclusionPromise":  map[string]any{"signedEntryTimestamp": b64(promise)},
				"inclusionProof":    map[string]any{"logIndex": fmt.Sprint(*proof.LogIndex), "rootHash": b64(rootHash), "treeSize": fmt.Sprint(*proof.TreeSize), "hashes": hashes, "checkpoint": map[string]any{"envelope": *proof.Checkpoint}},
				"canonicalizedBody": b64(body),
			}},
		}
	})
}

func (w *world) trustedRoot(fulcio authority, logs map[string]*root.TransparencyLog) root.TrustedMaterial {
	id := sha256.Sum256(must(x509.MarshalPKIXPublicKey(w.ct.Public())))
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ct := &root.TransparencyLog{BaseURL: "https://ct.example", ID: id[:], ValidityPeriodStart: begin, HashFunc: crypto.SHA256, PublicKey: w.ct.Public(), SignatureHashFunc: crypto.SHA256}
	by := &root.FulcioCertificateAuthority{Root: fulcio.chain[1], Intermediates: fulcio.chain[:1], ValidityPeriodStart: begin, URI: "https://fulcio.example"}
	// The virtual log calls itself by the digits of its digest, and not by the digest.
	for title, log := range logs {
		log.ID = must(hex.DecodeString(title))
		log.ValidityPeriodStart, log.ValidityPeriodEnd = begin, time.Time{}
	}
	made := must(root.NewTrustedRoot(root.TrustedRootMediaType01, []root.CertificateAuthority{by}, map[string]*root.TransparencyLog{hex.EncodeToString(id[:]): ct}, nil, logs))
	// As others read it.
	return must(root.NewTrustedRootFromJSON(must(json.Marshal(made))))
}

// Asks cosign's library as Flux does.
func (w *world) judge(as string, at name.Digest, set func(*cosign.CheckOpts)) {
	ctx := context.Background()
	opts := &cosign.CheckOpts{NewBundleFormat: true}
	set(opts)
	found, _, err := cosign.GetBundles(ctx, at, nil, name.Insecure)
	var good []oci.Signature
	if len(found) == 0 || err != nil {
		opts.NewBundleFormat = false
		good, _, err = cosign.VerifyImageSignatures(ctx, at, opts)
	} else {
		good, _, err = cosign.VerifyImageAttestations(ctx, at, opts, name.Insecure)
	}
	w.verdict(as, len(good) > 0, err)
}

func (w *world) verdict(as string, good bool, err error) {
	text := ""
	if err != nil {
		text = strings.ReplaceAll(err.Error(), w.host, "REGISTRY")
	} else if !good {
		text = "no signature"
	}
	w.now.Verdicts[as] = text
}

func (w *world) judgeKey(as string, at name.Digest) {
	block, _ := pem.Decode([]byte(w.Texts[as]))
	key := must(x509.ParsePKIXPublicKey(block.Bytes))
	w.judge(as, at, func(opts *cosign.CheckOpts) {
		opts.Offline, opts.IgnoreTlog = true, true
		opts.SigVerifier = must(signature.LoadVerifier(key, crypto.SHA256))
	})
}

func (w *world) judgeKeyless(as string, at name.Digest, trusted root.TrustedMaterial, issuer, subject string) {
	w.judge(as, at, func(opts *cosign.CheckOpts) {
		opts.TrustedMaterial = trusted
		opts.RekorClient = must(rekor.GetRekorClient("http://127.0.0.1:1"))
		opts.Identities = []cosign.Identity{{IssuerRegExp: issuer, SubjectRegExp: subject}}
	})
}

type store []*x509.Certificate

func (s store) GetCertificates(context.Context, truststore.Type, string) ([]*x509.Certificate, error) {
	return s, nil
}

func (w *world) oras() notationregistry.Repository {
	repo := must(orasremote.NewRepository(w.repo.Name()))
	repo.PlainHTTP = true
	repo.Client = auth.DefaultClient
	return notationregistry.NewRepository(repo)
}

func (w *world) notate(at name.Digest, kind string, who authority, expiry time.Duration) {
	by := must(signer.NewGenericSigner(who.key, who.chain))
	options := notation.SignOptions{ArtifactReference: at.String()}
	options.SignatureMediaType, options.ExpiryDuration = kind, expiry
	_, err := notation.Sign(context.Background(), by, w.oras(), options)
	check(err)
}

// Asks notation's library as Flux does.
func (w *world) judgeNotation(as string, at name.Digest, policy string, roots ...*x509.Certificate) {
	var doc trustpolicy.Document
	check(json.Unmarshal([]byte(strings.ReplaceAll(policy, "REGISTRY", w.host)), &doc))
	by, err := verifier.New(&doc, store(roots), nil)
	if err != nil {
		w.verdict(as, false, err)
		return
	}
	_, outcomes, err := notation.Verify(context.Background(), by, w.oras(), notation.VerifyOptions{ArtifactReference: at.String(), MaxSignatureAttempts: 3})
	w.verdict(as, len(outcomes) > 0, err)
	if err == nil && outcomes[0].VerificationLevel != trustpolicy.LevelSkip {
		for _, result := range outcomes[0].VerificationResults {
			if result.Error != nil {
				w.now.Verdicts[as] += fmt.Sprintf("%s only logged: %s\n", result.Type, result.Error)
			}
		}
	}
}

func policy(level, scope, identity string) string {
	return string(compact(map[string]any{"version": "1.0", "trustPolicies": []any{map[string]any{
		"name": "charts", "registryScopes": []string{scope}, "signatureVerification": map[string]any{"level": level},
		"trustStores": []string{"ca:acme"}, "trustedIdentities": []string{identity},
	}}}))
}

func main() {
	log.SetFlags(log.Lshortfile)
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	w := &world{record: record{Charts: map[string]chart{}, Texts: map[string]string{}}, host: strings.TrimPrefix(server.URL, "http://")}
	w.chart("1.0.0")
	w.chart("2.0.0")
	w.cosign()
	w.cosignKeyless()
	w.notation()
	var raw bytes.Buffer
	encoder := json.NewEncoder(&raw)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	check(encoder.Encode(w.record))
	check(os.WriteFile(os.Args[1], raw.Bytes(), 0o644))
}

func (w *world) cosign() {
	keys := map[string]crypto.Signer{
		"p256": ec(), "other": ec(),
		"p384": must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		"rsa":  must(rsa.GenerateKey(rand.Reader, 2048)),
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	check(err)
	keys["ed25519"] = ed
	for title, key := range keys {
		w.Texts[title] = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(key.Public()))}))
	}
	for _, title := range []string{"p256", "p384", "rsa", "ed25519"} {
		at := w.begin("key-" + title)
		w.simple(at, at, keys[title])
		w.judgeKey(title, at)
		w.judgeKey("other", at)
		w.end()
		at = w.begin("bundle-" + title)
		w.bundle(at, at, keys[title], hint)
		w.judgeKey(title, at)
		w.judgeKey("other", at)
		w.end()
	}
	at := w.begin("key-several")
	w.simple(at, at, keys["other"])
	w.simple(at, at, keys["p256"])
	w.judgeKey("p256", at)
	w.end()
	other := w.Charts["2.0.0"].Manifest
	at = w.begin("key-of-another")
	w.simple(at, w.repo.Digest(digest([]byte(other))), keys["p256"])
	w.judgeKey("p256", at)
	w.end()
	at = w.begin("bundle-of-another")
	w.bundle(at, w.repo.Digest(digest([]byte(other))), keys["p256"], hint)
	w.judgeKey("p256", at)
	w.end()
	at = w.begin("unsigned")
	w.judgeKey("p256", at)
	w.end()
}

func (w *world) cosignKeyless() {
	w.sigstore = must(ca.NewVirtualSigstore())
	w.fulcio, w.ct = authorityOf("fulcio"), ec()
	trusted := w.trustedRoot(w.fulcio, w.sigstore.RekorLogs())
	stranger := w.trustedRoot(authorityOf("fulcio"), w.sigstore.RekorLogs())
	unlogged := w.trustedRoot(w.fulcio, must(ca.NewVirtualSigstore()).RekorLogs())
	for title, it := range map[string]root.TrustedMaterial{"trusted": trusted, "stranger": stranger, "unlogged": unlogged} {
		w.Texts[title] = string(must(json.Marshal(it)))
	}
	begin := time.Now().Truncate(time.Second)
	judge := func(at name.Digest) {
		w.judgeKeyless("trusted", at, trusted, "^https://issuer[.]example$", "^https://git[.]example/acme/")
		w.judgeKeyless("stranger", at, stranger, "^https://issuer[.]example$", "^https://git[.]example/acme/")
		w.judgeKeyless("unlogged", at, unlogged, "^https://issuer[.]example$", "^https://git[.]example/acme/")
		w.judgeKeyless("wrong issuer", at, trusted, "^https://other[.]example$", "^https://git[.]example/acme/")
		w.judgeKeyless("wrong subject", at, trusted, "^https://issuer[.]example$", "^https://git[.]example/evil/")
		w.end()
	}
	good, bare := w.keyless(true, begin), w.keyless(false, begin)
	at := w.begin("keyless")
	w.simpleKeyless(at, good, begin.Add(time.Minute))
	judge(at)
	at = w.begin("keyless-late")
	w.simpleKeyless(at, good, begin.Add(time.Hour))
	judge(at)
	at = w.begin("keyless-unpromised")
	w.simpleKeyless(at, bare, begin.Add(time.Minute))
	judge(at)
	at = w.begin("keyless-bundle")
	w.bundleKeyless(at, at, good, begin.Add(time.Minute))
	judge(at)
	at = w.begin("keyless-bundle-late")
	w.bundleKeyless(at, at, good, begin.Add(time.Hour))
	judge(at)
	at = w.begin("keyless-bundle-unpromised")
	w.bundleKeyless(at, at, bare, begin.Add(time.Minute))
	judge(at)
}

func (w *world) notation() {
	acme, other := authorityOf("acme"), authorityOf("acme")
	usage := x509.Certificate{Subject: pkix.Name{CommonName: "release", Organization: []string{"Acme"}, Country: []string{"DE"}, Province: []string{"Hessen"}}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}
	revocable := usage
	revocable.CRLDistributionPoints = []string{"http://127.0.0.1:1/acme.crl"}
	signers := map[string]authority{
		"ec": issue(usage, &acme, ec()), "p384": issue(usage, &acme, must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))),
		"rsa": issue(usage, &acme, must(rsa.GenerateKey(rand.Reader, 2048))), "rsa3072": issue(usage, &acme, must(rsa.GenerateKey(rand.Reader, 3072))),
		"revocable": issue(revocable, &acme, ec()), "self": issue(usage, nil, ec()),
	}
	acmeRoot, otherRoot := acme.chain[1], other.chain[1]
	w.Texts["acme.crt"], w.Texts["other.crt"], w.Texts["self.crt"] = string(pemOf(acmeRoot)), string(pemOf(otherRoot)), string(pemOf(signers["self"].cert))
	const jws, cose = "application/jose+json", "application/cose"
	identity := "x509.subject: C=DE, ST=Hessen, O=Acme, CN=release"
	judge := func(at name.Digest, root *x509.Certificate) {
		scope := "REGISTRY/" + at.RepositoryStr()
		for _, level := range []string{"strict", "permissive", "audit"} {
			w.judgeNotation(level, at, policy(level, scope, identity), root)
			w.judgeNotation(level+", other root", at, policy(level, scope, identity), otherRoot)
			w.judgeNotation(level+", other identity", at, policy(level, scope, "x509.subject: C=DE, ST=Hessen, O=Acme, CN=other"), root)
		}
		w.judgeNotation("anybody", at, policy("strict", "*", "*"), root)
		w.judgeNotation("other scope", at, policy("strict", "REGISTRY/other", "*"), root)
		w.end()
	}
	rows := []struct {
		title, kind, who string
		expiry           time.Duration
	}{
		{"jws-ec", jws, "ec", 0}, {"jws-p384", jws, "p384", 0}, {"jws-rsa", jws, "rsa", 0}, {"jws-rsa3072", jws, "rsa3072", 0},
		{"jws-expiring", jws, "ec", 24 * time.Hour}, {"jws-revocable", jws, "revocable", 0}, {"jws-self", jws, "self", 0},
		{"cose-ec", cose, "ec", 0}, {"cose-rsa", cose, "rsa", 0}, {"cose-expiring", cose, "p384", 24 * time.Hour},
	}
	for _, row := range rows {
		at := w.begin("notation-" + row.title)
		w.notate(at, row.kind, signers[row.who], row.expiry)
		root := acmeRoot
		if row.who == "self" {
			root = signers["self"].cert
		}
		judge(at, root)
	}
}
