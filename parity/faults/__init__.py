"""The catalogue of mistakes people make when porting, one file per kind; each is planted in the working port."""
