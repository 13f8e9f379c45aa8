module coherence-model

go 1.26
