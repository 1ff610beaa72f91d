/**
 * The few words that ComfyUI's own translations do not reach: those in the result box and the menu. Settings and
 * commands are translated in `locales/`. This module does not know ComfyUI: its user names the language.
 */

const WORDS = {
  en: {
    hint: "Run this node to see what it finds.",
    copy: "Copy",
    copied: "Copied",
    notCopied: "Not copied",
    caption: "Caption",
    negative: "Negative",
    similarity: "Similarity",
    similarityHint: "Cosine similarity of image and text",
    probabilityHint: "How likely this is to be true",
    results: "Results of the last run",
    previous: "Previous image",
    next: "Next image",
    firstOnes: "Only the first {kept} of {count} images are kept here.",
    cut: "The last sentence was not finished, so it was cut off. Allow a longer caption to keep it.",
    looped: "The captioner repeated itself and was asked once more.",
    noTags: "No tag is above its threshold.",
    noClaims: "The text claims nothing that could be checked.",
    guessed: "Verdicts are less certain: this CLIP model is not calibrated.",
    noPhrases: "No phrase of the banks is likely enough to be true.",
    uncalibrated: "How sure a phrase is was guessed from the caption: this CLIP model is not calibrated.",
    loadedOn: "Loaded on {device}: {what}",
    loadedWaiting: "Loaded in main memory: {what}",
    notLoaded: "Not in memory",
    interrogate: "Interrogate this image",
    noSource: "There is no image to connect: this node has no IMAGE output, and its IMAGE input is not connected.",
    noSelection: "Select one node with an image first.",
  },
  zh: {
    hint: "运行此节点后，结果会显示在这里。",
    copy: "复制",
    copied: "已复制",
    notCopied: "未能复制",
    caption: "描述",
    negative: "负面",
    similarity: "相似度",
    similarityHint: "图像与文本的余弦相似度",
    probabilityHint: "为真的概率",
    results: "上次运行的结果",
    previous: "上一张图像",
    next: "下一张图像",
    firstOnes: "此处只保留 {count} 张图像中的前 {kept} 张。",
    cut: "最后一句未写完，已被删去。增大最大长度即可保留。",
    looped: "描述模型陷入重复，已重新生成一次。",
    noTags: "没有标签超过阈值。",
    noClaims: "文本中没有可核对的内容。",
    guessed: "此 CLIP 模型尚未校准，判断不够可靠。",
    noPhrases: "词库中没有足够可信的短语。",
    uncalibrated: "此 CLIP 模型尚未校准，短语的可信度由描述推断。",
    loadedOn: "已加载到 {device}：{what}",
    loadedWaiting: "已加载到主内存：{what}",
    notLoaded: "未加载到内存",
    interrogate: "反推此图像",
    noSource: "没有可连接的图像：此节点没有 IMAGE 输出，其 IMAGE 输入也未连接。",
    noSelection: "请先选择一个带图像的节点。",
  },
  ja: {
    hint: "このノードを実行すると、結果がここに表示されます。",
    copy: "コピー",
    copied: "コピーしました",
    notCopied: "コピーできません",
    caption: "キャプション",
    negative: "ネガティブ",
    similarity: "類似度",
    similarityHint: "画像とテキストのコサイン類似度",
    probabilityHint: "正しい確率",
    results: "前回の実行結果",
    previous: "前の画像",
    next: "次の画像",
    firstOnes: "{count} 枚の画像のうち最初の {kept} 枚だけを保持しています。",
    cut: "最後の文が途中だったため削除しました。最大長を増やすと残せます。",
    looped: "同じ言葉の繰り返しになったため、もう一度生成しました。",
    noTags: "しきい値を超えるタグがありません。",
    noClaims: "テキストに確認できる内容がありません。",
    guessed: "この CLIP モデルは校正されていないため、判定の確かさが下がります。",
    noPhrases: "十分に確からしいフレーズがバンクにありません。",
    uncalibrated: "この CLIP モデルは校正されていないため、フレーズの確からしさはキャプションから推定しました。",
    loadedOn: "{device} に読み込み済み: {what}",
    loadedWaiting: "メインメモリに読み込み済み: {what}",
    notLoaded: "メモリに読み込まれていません",
    interrogate: "この画像を解析",
    noSource: "接続できる画像がありません。このノードには IMAGE 出力がなく、IMAGE 入力も接続されていません。",
    noSelection: "先に画像のあるノードを 1 つ選択してください。",
  },
  ko: {
    hint: "이 노드를 실행하면 결과가 여기에 표시됩니다.",
    copy: "복사",
    copied: "복사됨",
    notCopied: "복사하지 못함",
    caption: "캡션",
    negative: "네거티브",
    similarity: "유사도",
    similarityHint: "이미지와 텍스트의 코사인 유사도",
    probabilityHint: "참일 확률",
    results: "마지막 실행 결과",
    previous: "이전 이미지",
    next: "다음 이미지",
    firstOnes: "이미지 {count}장 중 처음 {kept}장만 보관합니다.",
    cut: "마지막 문장이 끝나지 않아 잘라 냈습니다. 최대 길이를 늘리면 남습니다.",
    looped: "같은 말이 반복되어 한 번 더 생성했습니다.",
    noTags: "임계값을 넘는 태그가 없습니다.",
    noClaims: "텍스트에 확인할 내용이 없습니다.",
    guessed: "이 CLIP 모델은 보정되지 않아 판정의 확실성이 낮습니다.",
    noPhrases: "충분히 확실한 문구가 모음에 없습니다.",
    uncalibrated: "이 CLIP 모델은 보정되지 않아, 문구의 확실성을 캡션에서 추정했습니다.",
    loadedOn: "{device}에 로드됨: {what}",
    loadedWaiting: "주 메모리에 로드됨: {what}",
    notLoaded: "메모리에 로드되지 않음",
    interrogate: "이 이미지 분석",
    noSource: "연결할 이미지가 없습니다. 이 노드에는 IMAGE 출력이 없고 IMAGE 입력도 연결되어 있지 않습니다.",
    noSelection: "먼저 이미지가 있는 노드를 하나 선택하세요.",
  },
};

/** @type {() => string | undefined} */
let readLocale = () => undefined;

/**
 * Sets how to read the language of the page; until then, it is English.
 * @param {() => string | undefined} read - called each time, because people change their language while the page is open
 */
export function useLocale(read) {
  readLocale = read;
}

/**
 * The words in the language of the page, or in English. `zh-TW` counts as `zh`.
 * @returns {typeof WORDS.en}
 */
export function words() {
  const [language] = String(readLocale() ?? "en").split("-");
  return Object.hasOwn(WORDS, language) ? WORDS[language] : WORDS.en;
}
